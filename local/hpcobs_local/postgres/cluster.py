"""The data of the embedded PostgreSQL and its password: made once, complete or not at all."""

from __future__ import annotations

import secrets
import shutil
import signal
import tempfile
from typing import TYPE_CHECKING

from hpcobs.storage.failures import Cause, failure
from hpcobs_local.folder import PRIVATE, write
from hpcobs_local.postgres import programs
from hpcobs_local.postgres.child import Child
from hpcobs_local.postgres.programs import PostgresError, StoppedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import psycopg

USER = "hpcobs"
DATABASE = "hpcobs"
UNFINISHED = "unfinished-"
POLL_SECONDS = 0.05


class Cluster:
    """The folder of the server's data, its password and its log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.data = folder / "data"
        self.log = folder / "postgres.log"
        self._password_file = folder / "password"

    @property
    def exists(self) -> bool:
        """Whether there is data to start a server on."""
        return (self.data / "PG_VERSION").exists()

    def password(self) -> str:
        """Return the password. Raise PostgresError if its file has none."""
        try:
            password = self._password_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not a text"
            raise PostgresError(self._without_password(reason)) from None
        if not password:
            raise PostgresError(self._without_password("it is empty"))
        return password

    def login_failure(self, error: psycopg.OperationalError) -> PostgresError:
        """Return the error of a server that runs, but rejects the service's login."""
        why = failure(error)
        if why.cause is Cause.PASSWORD:
            return PostgresError(self._without_password("PostgreSQL rejects it"))
        return PostgresError(f"PostgreSQL cannot be used: {why.cause.value}: {why.reason}")

    def ensure(self, interrupted: Callable[[], bool]) -> None:
        """Make the data if there is none. Stop, with StoppedError, when ``interrupted`` is true.

        Raise PostgresError if the password of existing data cannot be read.
        """
        if not self.exists:
            self._create(interrupted)
        self.password()

    def _without_password(self, reason: str) -> str:
        return (
            f"the password of PostgreSQL in {self._password_file} cannot be used: {reason}"
            ". Restore this file, see docs/troubleshooting.md"
        )

    def _create(self, interrupted: Callable[[], bool]) -> None:
        """Create the data in a folder of another name, and rename it when it is complete."""
        # A start may be killed during initdb: half-made data at the final place could not start.
        self._folder.mkdir(parents=True, exist_ok=True)
        programs.give(self._folder, self.data)
        for unfinished in self._folder.glob(f"{UNFINISHED}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        write(self._password_file, secrets.token_urlsafe(24), mode=PRIVATE)
        programs.give(self._password_file, self.data)
        data = tempfile.mkdtemp(prefix=UNFINISHED, dir=self._folder)
        unfinished = self._folder / data
        programs.give(unfinished, self.data)
        self._initdb(unfinished, interrupted)
        unfinished.replace(self.data)

    def _initdb(self, data: Path, interrupted: Callable[[], bool]) -> None:
        arguments = [f"--pgdata={data}", f"--username={USER}", f"--pwfile={self._password_file}"]
        arguments += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-instructions"]
        command = programs.command("initdb", self.data, *arguments)
        # Its data is thrown away if it is interrupted, so SIGKILL does: to its children too.
        initdb = Child(command, self.log, guard_signal="KILL", group=True)
        try:
            while not initdb.wait(POLL_SECONDS):
                if interrupted():
                    raise StoppedError("PostgreSQL was stopped while its data was made")
        finally:
            initdb.end(signal.SIGKILL, seconds=0)
        if initdb.status != 0:
            log = self.log.read_text(errors="replace")
            raise PostgresError(f"initdb failed: {last_line(log)}")


def last_line(text: str) -> str:
    """Return the last line of a log, or a text in its place."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no message"
