"""The folder that holds all of a local service: database, secret, token, address, logs."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = Path(".hpcobs")
PRIVATE = 0o600
OWN = 0o700


class FolderInUseError(Exception):
    """Another service works in this folder."""


class Folder:
    """Paths of a local service's folder, and its small files."""

    def __init__(self, path: Path = DEFAULT) -> None:
        self.path = path

    @property
    def postgres(self) -> Path:
        """Where the embedded PostgreSQL keeps its data."""
        return self.path / "postgres"

    @property
    def logs(self) -> Path:
        """Where the logs are, one file per part."""
        return self.path / "logs"

    @property
    def token_file(self) -> Path:
        """A token for whoever may read this folder."""
        return self.path / "token"

    @property
    def url_file(self) -> Path:
        """Where the service answers; there only while it does."""
        return self.path / "url"

    @property
    def secret_file(self) -> Path:
        """What tokens are signed with."""
        return self.path / "secret"

    def token(self) -> str | None:
        """The token in this folder, if there is one."""
        return _read(self.token_file)

    def url(self) -> str | None:
        """The address of the service that works in this folder, if there is one."""
        return _read(self.url_file)

    def secret(self) -> str | None:
        """The signing secret, if there is one."""
        return _read(self.secret_file)

    def made_secret(self) -> str:
        """The signing secret, made at the first time."""
        known = self.secret()
        if known is None:
            known = secrets.token_urlsafe(48)
            write(self.secret_file, known, mode=PRIVATE)
        return known

    def make(self) -> None:
        """Make what is missing, for nobody else's eyes."""
        self.path.mkdir(parents=True, exist_ok=True, mode=OWN)
        self.logs.mkdir(exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder and keep others out of it; FolderInUseError if it is in use.

        The lock is on the folder itself and the kernel's, so that nothing of it is left behind.
        """
        self.make()
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = self.url()
            answering = f", at {where}" if where else ""
            raise FolderInUseError(f"hpcobs is already running in {self.path}{answering}") from None
        else:
            yield
        finally:
            os.close(descriptor)


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a small file whole or not at all; the mode holds from its first moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
    temporary.replace(path)


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip() or None
    except OSError:
        return None
