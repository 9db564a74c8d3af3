"""The bearer token, from a file that may be replaced at any time."""

from __future__ import annotations

import os


class TokenError(Exception):
    """There is no usable token; the text says why."""


class TokenFile:
    """The token in the file at ``path``, read again when the file changes."""

    def __init__(self, path: str) -> None:
        """Nothing is read yet."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def changed(self) -> bool:
        """Whether the file is another than the one that was read last."""
        try:
            return self._stamp() != self._seen
        except OSError:
            return False

    def get(self) -> str:
        """The token; TokenError if the file cannot be read or holds none."""
        try:
            stamp = self._stamp()
            if stamp != self._seen:
                with open(self._path, encoding="ascii") as file:
                    self._token = file.readline().strip()
                self._seen = stamp
        except (OSError, UnicodeDecodeError) as error:
            raise TokenError(f"the token cannot be read: {error}") from error
        if not self._token:
            raise TokenError(f"{self._path} holds no token")
        return self._token

    def _stamp(self) -> tuple[int, int, int]:
        status = os.stat(self._path)
        return status.st_ino, status.st_mtime_ns, status.st_size
