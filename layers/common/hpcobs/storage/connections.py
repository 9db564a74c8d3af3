"""Connections: one that is opened when first needed, or a pool.

A Lambda environment serves one request at a time and is frozen in between, so it holds one
connection, checks it after a pause and opens it again when it was lost. A long-running server with
threads uses the pool.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import psycopg

from hpcobs.storage.conninfo import CONNECT_TIMEOUT_SECONDS
from hpcobs.storage.watch import HungError, watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from hpcobs.settings import Settings

Connection = psycopg.Connection[Any]
ConnectArguments = dict[str, Any]

CHECK_AFTER_IDLE_SECONDS = 5.0
CHECK_SECONDS = 1.0


class Connections(Protocol):
    """Where storage calls get their connection from."""

    def connection(self) -> AbstractContextManager[Connection]:
        """A connection in autocommit mode, for the time of a call or a transaction."""

    def close(self) -> None:
        """Let go of all connections."""


def open_connection(
    arguments: Mapping[str, Any], *, statement_timeout_seconds: float | None
) -> Connection:
    """A new connection with the service's session settings: UTC, a limit on every statement.

    Without a limit nothing is set: whoever hands the connections around has done it.
    """
    connection = psycopg.connect(**arguments, autocommit=True)
    if statement_timeout_seconds is not None:
        configure(connection, statement_timeout_seconds=statement_timeout_seconds)
    return connection


def configure(connection: Connection, *, statement_timeout_seconds: float) -> None:
    """Set a session up in one round trip; compiling costs such statements more than it saves."""
    connection.execute(
        "SELECT set_config('TimeZone', 'UTC', false), set_config('jit', 'off', false),"
        " set_config('statement_timeout', %s, false)",
        [str(int(statement_timeout_seconds * 1000))],
    )


def check(connection: Connection) -> None:
    """Whether the connection still works; psycopg.OperationalError if not, within a second."""
    with watched(connection, seconds=CHECK_SECONDS):
        connection.execute("SELECT 1")


class SingleConnection:
    """One connection, opened lazily, reopened when it does not survive a pause."""

    def __init__(
        self,
        arguments: Callable[[], ConnectArguments],
        *,
        statement_timeout_seconds: float | None = 10,
    ) -> None:
        self._arguments = arguments
        self._statement_timeout_seconds = statement_timeout_seconds
        self._connection: Connection | None = None
        self._used_at = 0.0

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """The connection; a useless one is dropped afterwards, so that the next call reopens it."""
        connection = self._checked() or self._open()
        try:
            yield connection
        except psycopg.errors.ReadOnlySqlTransaction:
            # After a failover the database of before may be there to read from only.
            self.close()
            raise
        finally:
            self._used_at = time.monotonic()
            if connection.broken:
                self.close()

    def _checked(self) -> Connection | None:
        connection = self._connection
        if connection is None or connection.closed:
            return None
        if time.monotonic() - self._used_at < CHECK_AFTER_IDLE_SECONDS:
            return connection
        try:
            check(connection)
        except HungError:
            self.close()
            raise
        except psycopg.OperationalError:
            self.close()
            return None
        return connection

    def _open(self) -> Connection:
        self._connection = open_connection(
            self._arguments(), statement_timeout_seconds=self._statement_timeout_seconds
        )
        return self._connection

    def close(self) -> None:
        """Close the connection if it is open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PooledConnections:
    """psycopg's pool with the limits of the settings, opened when first needed."""

    def __init__(
        self,
        arguments: Callable[[], ConnectArguments],
        settings: Settings,
        *,
        statement_timeout_seconds: float | None = 10,
    ) -> None:
        from psycopg_pool import ConnectionPool

        def configured(connection: Connection) -> None:
            if statement_timeout_seconds is not None:
                configure(connection, statement_timeout_seconds=statement_timeout_seconds)

        self._pool = ConnectionPool(
            kwargs={**arguments(), "autocommit": True},
            min_size=min(settings.db_min_conns, settings.db_max_conns),
            max_size=settings.db_max_conns,
            max_lifetime=settings.db_max_conn_lifetime_seconds,
            max_idle=settings.db_max_conn_idle_seconds,
            configure=configured,
            check=check,
            timeout=CONNECT_TIMEOUT_SECONDS,
            open=False,
        )

    def connection(self) -> AbstractContextManager[Connection]:
        """A connection of the pool."""
        self._pool.open()
        return self._pool.connection()

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()
