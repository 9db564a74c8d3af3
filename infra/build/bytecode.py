"""Byte-compiling for Lambda: without .pyc files its imports take more than twice as long.

Only a Python of Lambda's own minor version writes .pyc files that Lambda can use. If this Python is
another version and none is found (LAYER_PYTHON names one), everything works, but starts later.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.build.target import LAMBDA

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def compiler(version: str = LAMBDA.python) -> str | None:
    """Return the path of a Python of that minor version, or None."""
    return next((path for path in _candidates(version) if _version(path) == version), None)


def compile_folder(folder: Path, *, installed_at: str, version: str = LAMBDA.python) -> None:
    """Compile the files in ``folder`` reproducibly, with tracebacks that name ``installed_at``."""
    python = compiler(version)
    if python is None:
        _warn_once(version)
        return
    # By hash, not by time: times differ from build to build, and Lambda's files all have the same.
    # Unchecked: the code in Lambda is read-only, so a comparison at each import would be wasted.
    subprocess.run(
        [
            python, "-m", "compileall", "-q", "-f",
            "--invalidation-mode", "unchecked-hash",
            "-s", str(folder), "-p", installed_at,
            str(folder),
        ],
        check=True,
        # The order of sets in .pyc files depends on the hash seed.
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip


def _candidates(version: str) -> Iterator[str]:
    if given := os.environ.get("LAYER_PYTHON"):
        yield given
    yield sys.executable
    for folder in os.get_exec_path():
        if path := shutil.which(f"python{version}", path=folder):
            yield path
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for installed in sorted(versions.glob(f"{version}.*")):
        yield str(installed / "bin" / "python")


def _version(python: str) -> str | None:
    """Return its minor version, or None if it does not run, such as a shim without a Python."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-c", program], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def _warn_once(version: str) -> None:
    sys.stderr.write(
        f"warning: no Python {version} found (set LAYER_PYTHON=PATH): the code is not "
        "byte-compiled, so the functions start more slowly\n"
    )
