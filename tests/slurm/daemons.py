"""Run Slurm's programs and end its daemons, which go to the background and write a pid file."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING

from tests.local.processes import alive
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.slurm.releases import Installation

STOP_SECONDS = 30.0
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def until(what: Callable[[], object], seconds: float = WAIT_SECONDS) -> None:
    """Wait until a condition is met. Check it a few times a second."""
    eventually(what, seconds, every=0.2)


class Programs:
    """One Slurm's programs, with the environment that leads them to its configuration."""

    def __init__(self, installation: Installation, conf: Path) -> None:
        self.installation = installation
        # As of a service manager: nothing of this process's own.
        self.environ = {"PATH": PATH, "SLURM_CONF": str(conf)}

    def attempt(
        self, *command: str | bytes, user: str = "root", group: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end. Text that is not UTF-8 is returned with U+FFFD."""
        prefix = self.installation.command(user=user, group=group)
        return subprocess.run(
            [*prefix, *command],
            env=self.environ,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=WAIT_SECONDS,
            check=False,
            cwd="/",
        )

    def run(self, *command: str | bytes, user: str = "root") -> str:
        """Run a program, which has to succeed. Return its output."""
        done = self.attempt(*command, user=user)
        assert done.returncode == 0, f"{command!r}: {done.stderr}{done.stdout}"
        return done.stdout

    def start(
        self,
        log: Path,
        *command: str,
        user: str = "root",
        group: str | None = None,
        **variables: str,
    ) -> subprocess.Popen[bytes]:
        """Start a program that stays in the foreground. Its output is added to ``log``."""
        with log.open("ab") as output:
            return subprocess.Popen(
                self.installation.command(*command, user=user, group=group),
                env={**self.environ, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
            )


def end(pid_file: Path) -> None:
    """Send the daemon SIGTERM, and SIGKILL if it has not ended after ``STOP_SECONDS``."""
    try:
        pid = int(pid_file.read_text())
    except (FileNotFoundError, ValueError):
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
            eventually(lambda: not alive(pid), STOP_SECONDS)
        except ProcessLookupError:
            return
        except AssertionError:
            continue
        return


def end_process(process: subprocess.Popen[bytes] | None) -> None:
    """End a program that was started in the foreground."""
    if process is not None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
