"""Unpack a release of Slurm from Debian's packages, into a folder that git ignores.

The packages come from the mirror that this host's apt uses. apt checks their signatures. Nothing is
installed on the host, and no package's script runs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

ROOTS = Path(__file__).parents[2] / ".venv/slurm"
SLURM = (
    *("slurmctld", "slurmd", "slurm-client", "slurmrestd", "slurm-wlm-jwt-plugin", "munge"),
    *("slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server-core"),
)
# What jobs, hooks and the forwarder use: Debian's essential packages, a Python and curl.
SYSTEM = ("?essential", "curl", "python3")
UNPACK_SECONDS = 250
LIST_PACKAGES = 'ls "$1/var/cache/apt/archives" >"$1/packages"'
"""Writes the packages with their versions into the file ``packages`` of the folder."""
WANTED = ("Debian", "main")
INDEXES = ("$(LABEL)\t$(COMPONENT)\t$(REPO_URI)", "Created-By: Packages")


class UnpackError(Exception):
    """A release of Slurm cannot be unpacked here. The text is the reason."""


def unpacked(version: str, suite: str) -> Path:
    """Return the folder of a release, and unpack it first if needed. Raise UnpackError."""
    root = ROOTS / version
    ROOTS.mkdir(parents=True, exist_ok=True)
    # Tests run in several processes.
    with (ROOTS / f"{version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            _unpack(suite, ROOTS / f"{version}.new", root)
    return root


def _unpack(suite: str, unfinished: Path, root: Path) -> None:
    shutil.rmtree(unfinished, ignore_errors=True)
    _bootstrap(suite, unfinished)
    for name in ("passwd", "group", "hosts"):  # this host's are mounted over them
        (unfinished / "etc" / name).touch()
    # Debian's alternatives, which the packages' scripts would set.
    for program in unfinished.glob("usr/*bin/*-wlm"):
        program.with_name(program.name.removesuffix("-wlm")).symlink_to(program.name)
    unfinished.rename(root)


def _bootstrap(suite: str, root: Path) -> None:
    if shutil.which("mmdebstrap") is None or shutil.which("apt-get") is None:
        raise UnpackError("no mmdebstrap here (.ci/apt-packages names Debian's packages)")
    include = ",".join((*SLURM, *SYSTEM))
    options = ["--variant=extract", "--mode=root", f"--include={include}"]
    options += [f"--extract-hook={LIST_PACKAGES}", *_network_options()]
    command = ["mmdebstrap", "--quiet", *options, suite, str(root), _mirror()]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=UNPACK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnpackError(f"{suite} was not unpacked within {UNPACK_SECONDS} s") from error
    if done.returncode:
        raise UnpackError(f"{suite} cannot be unpacked: {done.stderr.strip()[-300:]}")


def _mirror() -> str:
    """Return the URI from which this host's apt gets Debian."""
    for line in _output("apt-get", "indextargets", "--format", *INDEXES).splitlines():
        label, component, uri = line.split("\t")
        if (label, component) == WANTED:
            return uri
    raise UnpackError("this host's apt has no package lists of Debian (apt-get update)")


def _network_options() -> list[str]:
    """Return how this host's apt reaches its mirror: proxies, certificates."""
    settings = _output("apt-config", "dump", "Acquire::http", "Acquire::https").splitlines()
    return [f"--aptopt={setting}" for setting in settings if not setting.endswith('"";')]


def _output(*command: str) -> str:
    environ = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout
