"""A guard beside the embedded PostgreSQL: it stops the server if the service is killed.

A service that is asked to stop sees to its server itself. One that gets a SIGKILL cannot; then the
guard, a shell that does nothing but wait for the end of a pipe, asks the server to shut down.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = 'read -r _ || kill -INT "$1"'
"""PostgreSQL's SIGINT is its fast shutdown."""


class Guard:
    """Watches over one server for as long as this process lives."""

    def __init__(self, data: Path) -> None:
        pid = (data / "postmaster.pid").read_text().partition("\n")[0].strip()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT, "hpcobs-guard", pid],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Send the guard away; the server is left alone."""
        self._process.kill()
        self._process.communicate()
