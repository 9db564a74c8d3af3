"""Connections: one that is opened when first needed, or a pool.

A Lambda environment serves one request at a time and is frozen in between, so it holds one
connection, checks it after a pause and opens it again when it was lost (ADR 0013). A long-running
server with threads uses the pool. ``watched`` limits the silence of a database for both.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import psycopg

from hpcobs.storage.conninfo import CONNECT_TIMEOUT_SECONDS, FromParts
from hpcobs.storage.failures import ConnectError, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from hpcobs.settings import Settings
    from hpcobs.storage.conninfo import ConnectArguments

Connection = psycopg.Connection[Any]

CHECK_AFTER_IDLE_SECONDS = 5.0
CHECK_SECONDS = 1.0


class Connections(Protocol):
    """The source of connections for storage calls."""

    def connection(self) -> AbstractContextManager[Connection]:
        """Lend a connection in autocommit mode, for the time of a call or a transaction."""

    def close(self) -> None:
        """Close all connections."""


class HungError(psycopg.OperationalError):
    """The database does not respond, though the connection is open."""


@contextmanager
def watched(connection: Connection, *, seconds: float) -> Iterator[Callable[[], None]]:
    """Cut the connection, with HungError, if the database is silent for ``seconds``.

    Call the function that this yields whenever something was received. statement_timeout and
    lock_timeout do not replace this: the server enforces them, and a frozen server cannot.
    """
    over, silent = threading.Event(), threading.Event()
    received_at = time.monotonic()

    def received() -> None:
        nonlocal received_at
        received_at = time.monotonic()

    def watch() -> None:
        while not over.wait(max(0.0, received_at + seconds - time.monotonic())):
            if time.monotonic() >= received_at + seconds:
                silent.set()
                line.shutdown(socket.SHUT_RDWR)
                return

    watcher = threading.Thread(target=watch, daemon=True)
    # A cancel request would need a server that responds. Shutting the socket down wakes the thread
    # that reads from it. It is a duplicate, so that libpq may close its own at any time.
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        watcher.start()
        try:
            yield received
        except psycopg.OperationalError as error:
            if silent.is_set():
                raise HungError("the database does not respond") from error
            raise
        finally:
            over.set()
            watcher.join()


def connect(arguments: Callable[[], ConnectArguments], *, autocommit: bool = False) -> Connection:
    """Open a connection. Raise ConnectError, whose text names the cause and what to check."""
    try:
        return psycopg.connect(**arguments(), autocommit=autocommit)
    except psycopg.OperationalError as error:
        by_parts = isinstance(arguments, FromParts)
        raise ConnectError(failure(error), by_parts=by_parts) from error


def open_connection(
    arguments: Callable[[], ConnectArguments], *, statement_timeout_seconds: float | None
) -> Connection:
    """Open a connection with the service's session settings.

    Without a limit for statements nothing is set: behind a proxy, the proxy sets sessions up.
    """
    connection = connect(arguments, autocommit=True)
    if statement_timeout_seconds is not None:
        configure(connection, statement_timeout_seconds=statement_timeout_seconds)
    return connection


def configure(connection: Connection, *, statement_timeout_seconds: float) -> None:
    """Set UTC and the limit of every statement, and switch off the compilation of queries."""
    # In one round trip, because a cold start waits for it. Compiling short statements costs more
    # than it saves.
    connection.execute(
        "SELECT set_config('TimeZone', 'UTC', false), set_config('jit', 'off', false),"
        " set_config('statement_timeout', %s, false)",
        [str(int(statement_timeout_seconds * 1000))],
    )


def check(connection: Connection) -> None:
    """Prove that the connection works. Raise psycopg.OperationalError if not, within a second."""
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
        """Lend the connection. Drop a broken one afterwards, so that the next call reopens it."""
        connection = self._checked() or self._open()
        try:
            yield connection
        except psycopg.errors.ReadOnlySqlTransaction:
            # After a failover the host's old address may still lead to the former primary, which
            # only reads. A new connection resolves the name again.
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
        # A check costs a round trip, so only a pause is suspicious: Lambda freezes environments
        # between requests, and a frozen one does not notice that its connection was closed.
        if time.monotonic() - self._used_at < CHECK_AFTER_IDLE_SECONDS:
            return connection
        try:
            check(connection)
        except HungError:
            # A database that hangs would not accept a new connection either: fail at once.
            self.close()
            raise
        except psycopg.OperationalError:
            self.close()
            return None
        return connection

    def _open(self) -> Connection:
        self._connection = open_connection(
            self._arguments, statement_timeout_seconds=self._statement_timeout_seconds
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
        # Imported here: a Lambda function needs no pool, and its cold start should not load one.
        from psycopg_pool import ConnectionPool

        self._arguments = arguments

        def fresh() -> ConnectArguments:
            # Called for each connection: an IAM token expires long before the pool does.
            return {**arguments(), "autocommit": True}

        def configured(connection: Connection) -> None:
            if statement_timeout_seconds is not None:
                configure(connection, statement_timeout_seconds=statement_timeout_seconds)

        self._pool = ConnectionPool(
            kwargs=fresh,
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
        """Lend a connection of the pool. Raise ConnectError if the first one is rejected."""
        if self._pool.closed:
            # The pool only reports that it had no connection in time, not the reason.
            connect(self._arguments).close()
        self._pool.open()
        return self._pool.connection()

    def close(self) -> None:
        """Close the pool."""
        self._pool.close()
