"""The releases of Slurm that the tests run, and where each one is installed on this host."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.slurm import packages
from tests.slurm.packages import UnpackError

HOST = Path("/")
PROGRAMS = (
    *("munged", "slurmctld", "slurmd", "slurmrestd", "slurmdbd", "mariadbd"),
    *("sacct", "sacctmgr", "sbatch", "scancel", "scontrol", "squeue"),
)
JWT_PLUGIN = "usr/lib/*/slurm-wlm/auth_jwt.so"
MOUNTS = ("proc", "sys", "dev", "tmp", "etc/passwd", "etc/group", "etc/hosts")
# Each command has mounts of its own. The kernel removes them with the command's last process, so
# that a killed test leaves none behind.
ENTER = f"""\
for name in {" ".join(MOUNTS)}; do
    mount --rbind "/$name" "$0/$name" || exit
done
exec chroot "$@"
"""


@dataclass(frozen=True)
class Release:
    """A release of Slurm: its version, the Debian release that has it, its newest REST API.

    ``rest_plugins`` is slurmrestd's option ``-s``.
    """

    version: str
    suite: str
    rest_api: str
    rest_plugins: str

    def __str__(self) -> str:
        return self.version


RELEASES = (
    Release("22.05", "bookworm", "v0.0.38", "openapi/v0.0.38"),
    Release("24.11", "trixie", "v0.0.42", "openapi/slurmctld"),
)


@dataclass(frozen=True)
class Installation:
    """A release of Slurm on this host, with the folder that its programs see as /."""

    release: Release
    root: Path

    def command(self, *words: str, user: str = "root", group: str | None = None) -> list[str]:
        """Return the command line that runs ``words`` as ``user``, beside this Slurm."""
        chroot = [f"--userspec={user}:{group or user}", "--groups=", str(self.root), *words]
        if self.root == HOST:
            return ["chroot", *chroot]
        return ["unshare", "--mount", "sh", "-c", ENTER, str(self.root), *chroot]


def reason_against(release: Release) -> str | None:
    """Return why the release cannot run here, or None if it can. Unpack it if needed."""
    found = _find(release)
    return found if isinstance(found, str) else None


def installation(release: Release) -> Installation:
    """Return the release's installation."""
    found = _find(release)
    assert isinstance(found, Installation), found
    return found


@cache
def _find(release: Release) -> Installation | str:
    if os.geteuid() != 0:
        return "slurmd starts jobs as their users, which only root may"
    if _is_on_host(release):
        return Installation(release, HOST)
    if not _may_mount():
        return "this container may not mount folders (CAP_SYS_ADMIN)"
    try:
        return Installation(release, packages.unpacked(release.version, release.suite))
    except UnpackError as error:
        return str(error)


def _is_on_host(release: Release) -> bool:
    if any(shutil.which(name) is None for name in PROGRAMS) or not list(HOST.glob(JWT_PLUGIN)):
        return False
    shown = subprocess.run(["slurmctld", "-V"], capture_output=True, text=True, check=True)
    return f" {release.version}." in shown.stdout


def _may_mount() -> bool:
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return done.returncode == 0
