"""The embedded PostgreSQL server: its start and its stop, at any moment of a start.

The server listens on 127.0.0.1 only. It requires a password, which is stored beside its data.
"""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Self

import psycopg

from hpcobs.storage.failures import Cause, failure
from hpcobs_local.postgres import left_behind, programs
from hpcobs_local.postgres.child import Child
from hpcobs_local.postgres.cluster import DATABASE, USER, Cluster, last_line
from hpcobs_local.postgres.programs import PostgresError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START_SECONDS = 30.0
STOP_SECONDS = 3.0
CONNECT_SECONDS = 2

# An earlier server was killed, and its last processes still use the shared memory.
STILL_IN_USE = re.compile("is still in use")
PORT_TAKEN = re.compile("could not bind|could not create any TCP/IP sockets")


class EmbeddedPostgres:
    """A PostgreSQL server with its data in ``data_dir``.

    ``settings`` are set on the server's command line, e.g. ``{"fsync": "off"}``. Threads may share
    it: a stop interrupts a start in another thread, and waits for its end.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._cluster = Cluster(data_dir.resolve())
        self.data = self._cluster.data
        self._log = self._cluster.log
        self._port = port
        self._settings = dict(settings or {})
        self._process: Child | None = None
        self._changing = threading.RLock()
        self._stops = 0
        self._closed = False

    @property
    def url(self) -> str:
        """The server's URL, with the password."""
        return f"postgresql://{USER}:{self._cluster.password()}@127.0.0.1:{self._port}/{DATABASE}"

    @property
    def exists(self) -> bool:
        """Whether there is data to start a server on."""
        return self._cluster.exists

    @property
    def pid(self) -> int | None:
        """The process id of the server if it runs. None if it was not started here."""
        child = self._process
        return child.pid if child is not None and child.status is None else None

    def responds(self) -> bool:
        """Return whether the server answers a login, even if it rejects it.

        A server with too many clients, or one that recovers, is alive.
        """
        try:
            self._connect("postgres").close()
        except PostgresError:
            return True  # without a password there is no way to know, and the process runs
        except psycopg.OperationalError as error:
            return failure(error).cause is not Cause.UNREACHABLE
        return True

    def start(self) -> str:
        """Start the server, on new data if there is none, and return its URL.

        Stop a server first that an earlier owner left on this data. Raise PostgresError if the
        server cannot be started, StoppedError if it is stopped meanwhile.
        """
        stops = self._stops
        with self._changing:
            try:
                self._cluster.ensure(lambda: self._interrupted(stops))
                self._end_child()
                left_behind.stop_server(self.data)
                self._launch(stops)
                self._ensure_database()
            except BaseException:
                self._end_child()
                raise
            return self.url

    def stop(self) -> None:
        """Stop the server, if it was started here. Committed data is safe, sessions are ended."""
        # Before the lock: a start holds it, and ends when it sees this.
        self._stops += 1
        with self._changing:
            self._end_child()

    def close(self) -> None:
        """Stop the server, and prevent a start that another thread is about to begin."""
        self._closed = True
        self.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _interrupted(self, stops: int) -> bool:
        return self._closed or self._stops != stops

    def _end_child(self) -> None:
        """Try a fast shutdown, then an immediate one (the next start recovers), then SIGKILL."""
        if self._process is not None:
            self._process.end(signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, seconds=STOP_SECONDS)
            self._process = None

    def _launch(self, stops: int) -> None:
        """Start the server and wait until it is ready. Try again what may pass."""
        deadline = time.monotonic() + START_SECONDS
        # A restart uses the same port, because the functions have it in their URL.
        fixed = self._port is not None
        while True:
            self._port = self._port or _free_port()
            self._process = self._begin(self._port)
            if self._ready(self._process, stops, deadline):
                return
            self._end_child()
            log = self._log.read_text(errors="replace")
            if not fixed and PORT_TAKEN.search(log):
                self._port = None
            elif not STILL_IN_USE.search(log):
                raise PostgresError(f"PostgreSQL did not start: {last_line(log)}")
            if time.monotonic() > deadline:
                raise PostgresError(f"PostgreSQL did not start: {last_line(log)}")
            time.sleep(0.1)

    def _begin(self, port: int) -> Child:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            # A socket's path may have 107 bytes only, and the data folder may lie deeper.
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        command = programs.command("postgres", self.data, "-D", str(self.data), *options)
        # A start overwrites the log, so that it does not grow without bound.
        return Child(command, self._log, guard_signal="INT")

    def _ready(self, child: Child, stops: int, deadline: float) -> bool:
        """Wait until the server reports that it is ready. Return False if it ended or is slow."""
        while child.status is None and time.monotonic() < deadline:
            if self._interrupted(stops):
                raise StoppedError("PostgreSQL was stopped while it started")
            if left_behind.is_ready(self.data, child.pid):
                return True
            time.sleep(0.02)
        return False

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            self.url, dbname=database, connect_timeout=CONNECT_SECONDS, autocommit=True
        )

    def _ensure_database(self) -> None:
        try:
            with self._connect("postgres") as connection:
                query = b"SELECT 1 FROM pg_database WHERE datname = %s"
                if connection.execute(query, [DATABASE]).fetchone() is None:
                    connection.execute(b"CREATE DATABASE " + DATABASE.encode())
        except psycopg.OperationalError as error:
            raise self._cluster.login_failure(error) from None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
