"""The database of a deployment: the service's user is made if it is missing, then the tables.

A new RDS instance knows its administrator only. Where ``rds_iam`` comes from: the RDS user guide,
"Creating a database account using IAM authentication".
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from hpcobs.storage.migrations import apply_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import Connection
    from hpcobs.storage.conninfo import ConnectArguments

RETRY_SECONDS = 2.0

MAKE_USER = sql.SQL("CREATE ROLE {user} LOGIN")
LET_USER_IN = sql.SQL("GRANT rds_iam TO {user}; GRANT USAGE, CREATE ON SCHEMA public TO {user}")


class Deployment:
    """Brings a deployment's database up to date."""

    def __init__(
        self,
        arguments: Callable[[], ConnectArguments],
        *,
        user: str,
        administrator: Callable[[], ConnectArguments] | None = None,
        patience_seconds: float = 120,
    ) -> None:
        """``administrator`` makes ``user``, who is the one of ``arguments``, if it is missing."""
        self._arguments = arguments
        self._user = user
        self._administrator = administrator
        self._patience_seconds = patience_seconds

    def apply(self) -> list[str]:
        """Apply what is missing, all of it or nothing; the names of the applied migrations.

        A database that does not answer yet is waited for; then psycopg.OperationalError.
        """
        if self._administrator is not None:
            with self._connection(self._administrator) as connection:
                _ensure_user(connection, self._user)
        with self._connection(self._arguments) as connection:
            return apply_missing(connection)

    def _connection(self, arguments: Callable[[], ConnectArguments]) -> Connection:
        give_up_at = time.monotonic() + self._patience_seconds
        while True:
            try:
                return psycopg.connect(**arguments())
            except psycopg.OperationalError:
                if time.monotonic() + RETRY_SECONDS > give_up_at:
                    raise
                time.sleep(RETRY_SECONDS)


def _ensure_user(connection: Connection, user: str) -> None:
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [user]).rowcount
    if not known:
        connection.execute(MAKE_USER.format(user=sql.Identifier(user)))
    connection.execute(LET_USER_IN.format(user=sql.Identifier(user)))
