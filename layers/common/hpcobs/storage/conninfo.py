"""How to reach the database: from DATABASE_URL, or from its parts with an IAM token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict

from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.settings import Settings
    from hpcobs.storage.connections import ConnectArguments

CONNECT_TIMEOUT_SECONDS = 2
VANISHED = {"tcp_user_timeout": 2000, "keepalives_idle": 10, "keepalives_interval": 5}
"""A host that is gone without a word is given up after two seconds, in a query too."""


NEVER_PREPARED = {"prepare_threshold": None}
"""Behind a proxy the next transaction may run on another connection, which has prepared nothing."""


def connect_arguments(settings: Settings) -> Callable[[], ConnectArguments]:
    """What ``psycopg.connect`` needs, made anew for each connection because IAM tokens expire."""
    shared = NEVER_PREPARED if settings.db_proxy else {}
    if settings.database_url:
        fixed: ConnectArguments = {
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            **VANISHED,
            **shared,
            **parsed(settings.database_url),
        }
        return lambda: fixed
    if not settings.db_host:
        raise SettingsError("DATABASE_URL: neither it nor DB_HOST is set")
    return lambda: {**shared, **_from_parts(settings)}


def parsed(database_url: str) -> ConnectArguments:
    """The parts of DATABASE_URL; SettingsError, without the value: it may hold a password."""
    try:
        return dict(conninfo_to_dict(database_url))
    except psycopg.ProgrammingError:
        raise SettingsError("DATABASE_URL: must be a postgresql:// URL") from None


def _from_parts(settings: Settings) -> ConnectArguments:
    arguments: ConnectArguments = {
        "host": settings.db_host,
        "port": settings.db_port,
        "dbname": settings.db_name,
        "user": settings.db_user,
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        **VANISHED,
    }
    if settings.db_iam_auth:
        arguments |= {"password": _iam_token(settings), "sslmode": "verify-full"}
    return arguments


def _iam_token(settings: Settings) -> str:
    import boto3

    client = boto3.client("rds")
    token: str = client.generate_db_auth_token(
        DBHostname=settings.db_host or "", Port=settings.db_port, DBUsername=settings.db_user
    )
    return token
