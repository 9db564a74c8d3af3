"""Byte-compiling for Lambda: without .pyc files its imports take more than twice as long.

Only a Python of Lambda's own minor version makes files that it can use. Where this one is another
and none is found (``LAYER_PYTHON`` tells of one), everything works the same, but starts later.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.target import LAMBDA

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def compiler(version: str = LAMBDA.python) -> str | None:
    """A Python of that version, or None."""
    return next((path for path in _candidates(version) if _version(path) == version), None)


def compile_folder(folder: Path, *, installed_at: str, version: str = LAMBDA.python) -> None:
    """Compile what is in ``folder``, reproducibly, as if it were at ``installed_at``."""
    python = compiler(version)
    if python is None:
        _warn_once(version)
        return
    subprocess.run(
        [
            python, "-m", "compileall", "-q", "-f",
            "--invalidation-mode", "unchecked-hash",
            "-s", str(folder), "-p", installed_at,
            str(folder),
        ],
        check=True,
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
    """Its minor version; None if it does not run, as a shim without a Python behind it."""
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [python, "-c", ask], capture_output=True, text=True, check=True, timeout=30
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()


@cache
def _warn_once(version: str) -> None:
    sys.stderr.write(
        f"warning: no Python {version} was found (LAYER_PYTHON=…), so the code is not "
        "byte-compiled and the functions' cold starts take longer\n"
    )
