"""PostgreSQL refuses to run as root; this runs its programs as somebody else then.

The programs and the data may lie below folders that only root may enter (a home folder, a temporary
one), so the capability to search folders is kept, and nothing else.
"""

from __future__ import annotations

import os
import pwd
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CANDIDATES = ("postgres", "nobody")


class PrivilegeError(RuntimeError):
    """The programs cannot be run as another user here."""


def is_root() -> bool:
    """Whether this process is root."""
    return os.geteuid() == 0


def account(data_dir: Path) -> pwd.struct_passwd:
    """Who the programs run as: the owner of the data if there is some, or a system user."""
    if data_dir.exists() and (owner := data_dir.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    for name in CANDIDATES:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PrivilegeError("PostgreSQL does not run as root, and there is no user to run it as")


def prefix(data_dir: Path) -> Sequence[str]:
    """What to put before a command so that it does not run as root; nothing for others."""
    if not is_root():
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PrivilegeError(
            "PostgreSQL does not run as root: install util-linux (setpriv), or run as another user"
        )
    user = account(data_dir)
    return (
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search",
    )


def give(path: Path, data_dir: Path) -> None:
    """Let the programs' user own ``path``, where they do not run as the caller."""
    if is_root():
        user = account(data_dir)
        os.chown(path, user.pw_uid, user.pw_gid)
