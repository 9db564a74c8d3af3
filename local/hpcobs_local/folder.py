"""The folder of a local service: database, secret, token, URL and logs."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_PATH = Path(".hpcobs")
PRIVATE = 0o600
PRIVATE_FOLDER = 0o700


class FolderInUseError(Exception):
    """Another service uses this folder."""


class Folder:
    """The paths of a local service's folder, and its small files."""

    def __init__(self, path: Path = DEFAULT_PATH) -> None:
        self.path = path

    @property
    def postgres(self) -> Path:
        """The folder of the embedded PostgreSQL."""
        return self.path / "postgres"

    @property
    def logs(self) -> Path:
        """The folder of the logs, with one file per process."""
        return self.path / "logs"

    @property
    def token_file(self) -> Path:
        """The file of an administrator's token, for users who may read this folder."""
        return self.path / "token"

    @property
    def url_file(self) -> Path:
        """The file of the service's URL. It exists only while the service runs."""
        return self.path / "url"

    @property
    def secret_file(self) -> Path:
        """The file of the secret that signs tokens."""
        return self.path / "secret"

    def token(self) -> str | None:
        """Return the administrator's token, or None."""
        return _read(self.token_file)

    def url(self) -> str | None:
        """Return the URL of the service that uses this folder, or None."""
        return _read(self.url_file)

    def secret(self) -> str | None:
        """Return the signing secret, or None."""
        return _read(self.secret_file)

    def ensure_secret(self) -> str:
        """Return the signing secret. Create it at the first call."""
        secret = self.secret()
        if secret is None:
            secret = secrets.token_urlsafe(48)
            write(self.secret_file, secret, mode=PRIVATE)
        return secret

    def create(self) -> None:
        """Create the folder with its logs folder. A new one is readable for its owner only."""
        self.path.mkdir(parents=True, exist_ok=True, mode=PRIVATE_FOLDER)
        self.logs.mkdir(exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder and lock it. Raise FolderInUseError if another service uses it."""
        self.create()
        # The kernel's lock on the folder itself: it ends with the process, and leaves no file.
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            url = self.url()
            where = f", at {url}" if url else ""
            raise FolderInUseError(f"hpcobs is already running in {self.path}{where}") from None
        else:
            yield
        finally:
            os.close(descriptor)


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a small file atomically, with ``mode`` from its creation on."""
    # In the same folder: a rename is atomic within one file system only. The mode is set when the
    # file is created: after a later chmod, others might have opened it already.
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
