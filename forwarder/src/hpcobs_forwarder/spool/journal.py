"""The batch that is being written: each pass is on disk before the next one begins."""

from __future__ import annotations

import os
from contextlib import suppress

from hpcobs_forwarder.spool.disk import sync_folder, write_all

_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Journal:
    """An open batch at ``path``, with a copy of its lines in memory.

    While the disk takes nothing, the lines stay in memory, and every new line tries again.
    """

    def __init__(self, path: str, *, sync: bool) -> None:
        """Nothing is written yet; ``sync`` makes every line outlast a power cut."""
        self._path = path
        self._sync = sync
        self._lines: list[bytes] = []
        self._written_lines = 0
        self._written_bytes = 0
        self._descriptor = -1
        self.samples = 0
        self.bytes = 0

    def buffer(self, line: bytes, samples: int = 0) -> None:
        """Adds a line, in memory until the next ``flush``."""
        self._lines.append(line)
        self.samples += samples
        self.bytes += len(line)

    def flush(self) -> None:
        """Writes what is in memory only; OSError if the disk does not take it."""
        if self._descriptor < 0:
            self._open()
        pending = b"".join(self._lines[self._written_lines :])
        try:
            write_all(self._descriptor, pending)
            if self._sync:
                os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._written_bytes)
            os.lseek(self._descriptor, self._written_bytes, os.SEEK_SET)
            raise
        self._written_lines = len(self._lines)
        self._written_bytes += len(pending)

    def _open(self) -> None:
        """What lies there already was given up by a disk that could not even remove it."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        self._descriptor = os.open(self._path, _OPEN, 0o600)
        if self._sync:
            sync_folder(os.path.dirname(self._path))

    def seal(self, path: str) -> None:
        """Closes the batch and renames it to ``path``; OSError if it is not whole on disk."""
        self.flush()
        self._close()
        os.rename(self._path, path)

    def give_up(self) -> bytes:
        """The whole batch from memory; what is on disk of it is removed."""
        if self._descriptor >= 0:
            self._close()
        with suppress(OSError):  # it never came to be, or the disk cannot even do that
            os.unlink(self._path)
        return b"".join(self._lines)

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
