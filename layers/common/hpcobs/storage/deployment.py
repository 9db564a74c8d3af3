"""The database of a deployment: create the service's user if it is missing, then the tables.

A new RDS instance has an administrator only. For the role ``rds_iam`` see the RDS user guide,
"Creating a database account using IAM authentication".
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from psycopg import sql

from hpcobs.storage.connections import connect
from hpcobs.storage.failures import ConnectError
from hpcobs.storage.migrations import NewerSchemaError, apply_missing

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import Connection
    from hpcobs.storage.conninfo import ConnectArguments

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0

CREATE_USER = sql.SQL("CREATE ROLE {user} LOGIN")
GRANT_LOGIN = sql.SQL("GRANT rds_iam TO {user}; GRANT USAGE, CREATE ON SCHEMA public TO {user}")


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
        """Set how to connect. ``arguments`` log in as ``user``, whom ``administrator`` creates."""
        self._arguments = arguments
        self._user = user
        self._administrator = administrator
        self._patience_seconds = patience_seconds

    def apply(self) -> list[str]:
        """Apply the missing migrations, all or none, and return their names.

        Wait for a database that does not respond yet. Raise ConnectError after
        ``patience_seconds``, and at once if the database rejects the login. Do nothing to a
        database of a newer version. Raise SchemaError if its migrations do not fit otherwise.
        """
        if self._administrator is not None:
            with self._connection(self._administrator) as connection:
                _ensure_user(connection, self._user)
        with self._connection(self._arguments) as connection:
            try:
                return apply_missing(connection)
            except NewerSchemaError as error:
                # Not a failure: CloudFormation calls the earlier version's function when a
                # deployment is rolled back, and an error would leave the site half rolled back.
                logger.warning("no migrations are applied: %s", error)
                return []

    def _connection(self, arguments: Callable[[], ConnectArguments]) -> Connection:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                return connect(arguments)
            except ConnectError as error:
                late = time.monotonic() + RETRY_SECONDS > deadline
                if late or not error.failure.transient:
                    raise
                time.sleep(RETRY_SECONDS)


def _ensure_user(connection: Connection, user: str) -> None:
    # PostgreSQL has no CREATE ROLE IF NOT EXISTS. One deployment runs at a time.
    known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [user]).rowcount
    if not known:
        connection.execute(CREATE_USER.format(user=sql.Identifier(user)))
    # At every deployment, so that an interrupted one is completed. Granting again changes nothing.
    connection.execute(GRANT_LOGIN.format(user=sql.Identifier(user)))
