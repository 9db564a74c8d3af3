"""Make the spool's folders, and make sure that one forwarder of the right user has them."""

from __future__ import annotations

import errno
import os


class SpoolError(Exception):
    """The spool folder cannot be used. The text contains the reason."""


def check_owner(folder: str) -> None:
    """Raise SpoolError if the folder belongs to another user."""
    # Files that root writes to another user's spool are unreadable for that user's hooks and
    # service. So root has to run as that user.
    if not os.path.isdir(folder):
        return
    owner = os.stat(folder).st_uid
    if owner != os.geteuid():
        raise SpoolError(f"{folder} belongs to user {_name_of(owner)}: run this as that user")


def make(folders: tuple[str, ...]) -> None:
    """Make the folders that do not exist. Raise OSError."""
    for folder in folders:
        os.makedirs(folder, mode=0o700, exist_ok=True)


def open_lock(path: str) -> int:
    """Open the lock file, also on a read-only disk if it exists. Raise OSError."""
    try:
        return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
        # The kernel locks a file that can only be read, too. What is in the spool is sent.
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _name_of(uid: int) -> str:
    import pwd  # only for an error message

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
