"""The process of a PostgreSQL server: find it by its data, and stop it.

The server is found by its postmaster.pid, whoever started it. So a server that a killed service
left behind can be stopped as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

STOP_SECONDS = 3.0


def pid_of(data: Path) -> int | None:
    """Return the process id of the server that runs on ``data``, or None."""
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    return pid if _is_server_of(pid, data) else None


def stop(data: Path) -> None:
    """Stop the server on ``data``. Committed data is safe, sessions are ended.

    Try a fast shutdown, then an immediate one, after which the next start recovers, then a SIGKILL.
    """
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        pid = pid_of(data)
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        if _ends_soon(pid):
            return


def _is_server_of(pid: int, data: Path) -> bool:
    # A postmaster.pid may be left from a crash, and its number may be another process's by now.
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return str(data) in _command_line(pid)


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    # macOS has no /proc.
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _ends_soon(pid: int) -> bool:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        # A child that has ended stays a zombie, for which kill(pid, 0) succeeds, until waited for.
        with suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False
