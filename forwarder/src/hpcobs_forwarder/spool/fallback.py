"""The fallback folder: it keeps what the spool's disk does not accept.

It is in memory, as ``/run`` is. So it survives a stop and a kill of the forwarder, and no reboot.
"""

from __future__ import annotations

import fcntl
import logging
import os
import stat
from contextlib import suppress

from hpcobs_forwarder.spool.entries import write_whole

_log = logging.getLogger(__name__)

MAX_BYTES = 16 << 20
"""Limit for the events and batches in it: the memory is the node's, which belongs to jobs."""

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Fallback:
    """The folder at ``path``, or none if that is empty."""

    def __init__(self, path: str = "") -> None:
        """Touch nothing yet."""
        self._path = path.rstrip("/")  # a link with a slash behind it seems to be a folder
        self._lock = -1
        self._is_usable = bool(path)

    def folders(self) -> tuple[str, ...]:
        """Return the folder if it can be used, else nothing."""
        return (self._path,) if self._is_usable and is_private(self._path) else ()

    def open(self) -> None:
        """Make the folder if that is possible, and lock it. Without it, nothing else changes."""
        if not self._path:
            return
        with suppress(OSError):  # only root may make a folder in /run
            _make(self._path)
        self._is_usable = True
        if os.path.lexists(self._path) and not is_private(self._path):
            _log.warning(
                "%s is not used as fallback folder: other users may write there", self._path
            )
        for folder in self.folders():
            self._lock_folder(folder)

    def _lock_folder(self, folder: str) -> None:
        try:
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # Two forwarders would send the same files, and take each other's jobs for their own.
            self._is_usable = False
            self.close()
            _log.warning(
                "%s is not used as fallback folder: another forwarder uses it; set "
                "HPCOBS_FALLBACK_DIR to another folder",
                folder,
            )

    def close(self) -> None:
        """Release the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


NO_FALLBACK = Fallback()


def is_private(path: str) -> bool:
    """Return whether ``path`` is a folder of this user in which no other user can make files."""
    # A hook cannot trust a file that another user planted, and must not write to a link of theirs.
    try:
        status, above = os.lstat(path), os.stat(os.path.dirname(path))
    except OSError:
        return False
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    # In a folder with the sticky bit nobody else can replace it.
    is_fixed = bool(above.st_mode & stat.S_ISVTX) or not above.st_mode & _OTHERS_MAY_WRITE
    return is_own and is_fixed and not status.st_mode & _OTHERS_MAY_WRITE


def _make(path: str) -> None:
    above = os.path.dirname(path)
    if not os.path.isdir(above):
        os.mkdir(above)
        # The service's umask is stricter, and the user slurm has a folder in it too.
        os.chmod(above, 0o755)  # noqa: S103 - only its owner may write
    if not os.path.lexists(path):
        os.mkdir(path, 0o700)


class KeptFile:
    """A small file of the forwarder, in the spool folder or else in the fallback folder."""

    def __init__(self, path: str, fallback: Fallback = NO_FALLBACK) -> None:
        """Read nothing yet. ``path`` is its place in the spool."""
        self._path = path
        self._fallback = fallback

    def _paths(self) -> list[str]:
        name = os.path.basename(self._path)
        return [self._path, *(f"{folder}/{name}" for folder in self._fallback.folders())]

    def read(self) -> list[str]:
        """Return the texts of the copies that can be read, the newest first."""
        found: list[tuple[int, str]] = []
        for path in self._paths():
            try:
                with open(path, encoding="utf-8") as file:
                    found.append((os.fstat(file.fileno()).st_mtime_ns, file.read()))
            except (OSError, ValueError):
                continue  # there is none, or it is damaged
        return [text for _, text in sorted(found, reverse=True)]

    def write(self, text: str) -> bool:
        """Replace the file. Return False if that was only possible in the fallback folder.

        Raise OSError if no folder accepts it.
        """
        first, *others = self._paths()
        try:
            write_whole(first, text.encode(), sync=False)
        except OSError:
            if not others:
                raise
            write_whole(others[0], text.encode(), sync=False)
            return False
        for path in others:
            with suppress(OSError):  # usually there is none
                os.unlink(path)
        return True
