"""The arguments of a connection: from DATABASE_URL, or from its parts with an IAM token."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from hpcobs.settings import SettingsError
from hpcobs.storage.failures import NO_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.settings import Settings

ConnectArguments = dict[str, Any]
"""The keyword arguments of ``psycopg.connect``."""

CONNECT_TIMEOUT_SECONDS = 2
SILENT_HOST = {"tcp_user_timeout": 2000, "keepalives_idle": 10, "keepalives_interval": 5}
"""Treat a silent host as unreachable after 2 s (tcp_user_timeout is in ms), in a query too.

Without it TCP sends again for 15 minutes or more before it reports an error.
"""

NEVER_PREPARED = {"prepare_threshold": None}
"""Behind a proxy the next transaction may run on another session, which has prepared nothing."""


def connect_arguments(settings: Settings) -> Callable[[], ConnectArguments]:
    """Return a function that makes the arguments of a connection.

    It is called for each connection, because an IAM token expires after 15 minutes. Raise
    SettingsError if the settings name no database.
    """
    shared = NEVER_PREPARED if settings.db_proxy else {}
    if settings.database_url:
        fixed: ConnectArguments = {**shared, **from_url(settings.database_url)}
        return lambda: fixed
    if not settings.db_host:
        raise SettingsError("DATABASE_URL: neither it nor DB_HOST is set")
    return FromParts(settings, shared)


@dataclass(frozen=True, slots=True)
class FromParts:
    """Makes the arguments of a connection from DB_HOST and its like."""

    settings: Settings
    shared: ConnectArguments

    def __call__(self) -> ConnectArguments:
        """Return the arguments, with a new IAM token if the site uses them."""
        return {**self.shared, **_from_parts(self.settings)}


def from_url(database_url: str) -> ConnectArguments:
    """Return the arguments of a connection by URL, with our limits. Raise SettingsError."""
    limits = {"connect_timeout": CONNECT_TIMEOUT_SECONDS, **SILENT_HOST}
    return {**limits, **parsed(database_url)}


def parsed(database_url: str) -> ConnectArguments:
    """Parse DATABASE_URL. Raise SettingsError, without the value: it may hold a password."""
    try:
        return dict(conninfo_to_dict(database_url))
    except psycopg.ProgrammingError:
        # "from None", because psycopg's message quotes the URL.
        raise SettingsError("DATABASE_URL: must be a postgresql:// URL") from None


def _from_parts(settings: Settings) -> ConnectArguments:
    arguments: ConnectArguments = {
        "host": settings.db_host,
        "port": settings.db_port,
        "dbname": settings.db_name,
        "user": settings.db_user,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        **SILENT_HOST,
    }
    if settings.db_iam_auth:
        # The token is a password that any server could collect: the certificate is checked first.
        arguments |= {"password": _iam_token(settings), "sslmode": "verify-full"}
    return arguments


_ONE_AT_A_TIME = threading.Lock()


def _iam_token(settings: Settings) -> str:
    # boto3 takes a quarter of a second to import, and only sites with IAM logins need it here.
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        # A pool opens connections in several threads, and boto3's default session may not make
        # clients in two threads at once.
        with _ONE_AT_A_TIME:
            client = boto3.client("rds")
        token: str = client.generate_db_auth_token(
            DBHostname=settings.db_host or "", Port=settings.db_port, DBUsername=settings.db_user
        )
    # A ClientError comes from the service that issues the credentials of a role.
    except (BotoCoreError, ClientError) as error:
        raise psycopg.OperationalError(f"{NO_CREDENTIALS}: {error}") from error
    return token
