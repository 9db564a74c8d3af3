"""The embedded PostgreSQL server: its data, its start and its stop.

The server listens on 127.0.0.1 only. It requires a password, which is stored beside its data.
"""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from hpcobs_local.folder import PRIVATE, write
from hpcobs_local.postgres import process, programs
from hpcobs_local.postgres.programs import PostgresError

if TYPE_CHECKING:
    from collections.abc import Mapping

START_SECONDS = 30.0
USER = "hpcobs"
DATABASE = "hpcobs"
UNFINISHED = "unfinished-"


class EmbeddedPostgres:
    """A PostgreSQL server with its data in ``data_dir``.

    ``settings`` are set on the server's command line, e.g. ``{"fsync": "off"}``.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = data_dir.resolve()
        self.data = self._folder / "data"
        self._log = self._folder / "postgres.log"
        self._password = self._folder / "password"
        self._port = port
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The server's URL, with the password."""
        password = self._password.read_text().strip()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self._port}/{DATABASE}"

    @property
    def exists(self) -> bool:
        """Whether there is data to start a server on."""
        return (self.data / "PG_VERSION").exists()

    @property
    def pid(self) -> int | None:
        """The process id of the server that runs on this data."""
        return process.pid_of(self.data)

    @property
    def running(self) -> bool:
        """Whether a server runs on this data and responds."""
        return self.pid is not None and self._responds()

    def start(self) -> str:
        """Start the server, on new data if there is none, and return its URL.

        Stop a server first that an earlier owner left on this data. Raise PostgresError if the
        server cannot be started.
        """
        if not self.exists:
            self._create_data()
        process.stop(self.data)
        # A restart uses the same port, because the functions have it in their URL.
        self._port = self._port or _free_port()
        self._launch()
        self._wait_until_ready()
        self._ensure_database()
        return self.url

    def stop(self) -> None:
        """Stop the server. Committed data is safe, sessions are ended."""
        process.stop(self.data)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(process.STOP_SECONDS)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _create_data(self) -> None:
        """Create the data in a folder of another name, and rename it when it is complete."""
        # A start may be killed during initdb: half-made data at the final place could not start.
        self._folder.mkdir(parents=True, exist_ok=True)
        programs.give(self._folder, self.data)
        for unfinished in self._folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        write(self._password, secrets.token_urlsafe(24), mode=PRIVATE)
        programs.give(self._password, self.data)
        data = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._folder))
        programs.give(data, self.data)
        self._initdb(data)
        data.replace(self.data)

    def _initdb(self, data: Path) -> None:
        arguments = [f"--pgdata={data}", f"--username={USER}", f"--pwfile={self._password}"]
        arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        result = subprocess.run(
            programs.command("initdb", self.data, *arguments),
            capture_output=True,
            text=True,
            check=False,
            env=programs.environment(),
            cwd="/",
        )
        if result.returncode != 0:
            raise PostgresError(f"initdb failed: {_last_line(result.stderr)}")

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            # A socket's path may have 107 bytes only, and the data folder may lie deeper.
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        # A start overwrites the log, so that it does not grow without bound.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                programs.command("postgres", self.data, "-D", str(self.data), *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=programs.environment(),
                # The user of the programs may not be allowed to enter the current folder.
                cwd="/",
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            if self._responds():
                return
            time.sleep(0.02)
        with suppress(OSError):
            self.stop()
        raise PostgresError(f"PostgreSQL did not start: {_last_line(self._log.read_text())}")

    def _responds(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(self.url, dbname=database, connect_timeout=2, autocommit=True)

    def _ensure_database(self) -> None:
        with self._connect("postgres") as connection:
            query = b"SELECT 1 FROM pg_database WHERE datname = %s"
            if connection.execute(query, [DATABASE]).fetchone() is None:
                connection.execute(b"CREATE DATABASE " + DATABASE.encode())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
