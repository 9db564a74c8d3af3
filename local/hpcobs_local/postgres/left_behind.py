"""What postmaster.pid says: a server is ready, or was left behind and must be stopped.

``postmaster.pid`` proves nothing. It may be left from a crash and name a process that has nothing
to do with PostgreSQL, or it was copied with its folder and names the server of the original. A
process counts as the server of some data only if its current folder is that data, by device and
inode. PostgreSQL enters its data when it starts, and never leaves it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

STOP_SECONDS = 3.0
PID_FILE = "postmaster.pid"
STATUS_LINE = 7
READY = "ready"


class Handle:
    """A process that this one did not start. A signal goes to it or to none.

    The number of a process that has ended is given to another one some day. Linux's pidfd always
    means the process that it was opened for. Raise ProcessLookupError if there is none.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._descriptor: int | None = None
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            raise
        except (AttributeError, OSError):
            # macOS has no pidfd, and some sandboxes forbid it.
            os.kill(pid, 0)

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with suppress(ProcessLookupError):
            if self._descriptor is None:
                os.kill(self.pid, number)
            else:
                signal.pidfd_send_signal(self._descriptor, number)

    def ended(self, seconds: float) -> bool:
        """Wait until the process has ended, and return whether it has within ``seconds``."""
        if self._descriptor is not None:
            return bool(select.select([self._descriptor], [], [], seconds)[0])
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.02)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


def stop_server(data: Path) -> None:
    """Stop the server that runs on ``data``, whoever started it. Remove a stale pid file.

    Try a fast shutdown, then an immediate one, after which the next start recovers, then a SIGKILL.
    """
    pid = _pid_in(data / PID_FILE)
    if pid is None:
        return
    try:
        with Handle(pid) as process:
            if is_server(pid, data):
                _end(process)
    except (ProcessLookupError, PermissionError):
        pass  # it has ended, or it is another user's: PostgreSQL runs as the owner of its data
    # PostgreSQL does not start while its file names a living process of its user, which may be any
    # process by now. Its lock on the shared memory still protects data that is in use.
    if _pid_in(data / PID_FILE) == pid:
        (data / PID_FILE).unlink(missing_ok=True)


def is_ready(data: Path, pid: int) -> bool:
    """Return whether the server ``pid`` on ``data`` accepts connections, as pg_ctl does it."""
    # Not by a connection: another server may have taken the port, even one on a copy of this data,
    # with the same password.
    try:
        lines = (data / PID_FILE).read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return len(lines) > STATUS_LINE and lines[0] == str(pid) and lines[STATUS_LINE].strip() == READY


def is_server(pid: int, data: Path) -> bool:
    """Return whether the process is the PostgreSQL server of ``data``. False if in doubt."""
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return _is_server_for_ps(pid, data)
    # The processes of a server have the same current folder, and other texts for arguments.
    if Path(os.fsdecode(arguments[0])).name != "postgres" or b"-D" not in arguments[:-1]:
        return False
    folder = Path(f"/proc/{pid}/cwd")
    with suppress(OSError):
        if not os.access(folder, os.F_OK):
            # A container's root may not look into other users' processes.
            folder = Path(os.fsdecode(arguments[arguments.index(b"-D") + 1]))
        return folder.samefile(data)
    return False


def _is_server_for_ps(pid: int, data: Path) -> bool:
    # macOS has no /proc. This is how EmbeddedPostgres calls the program: the whole path is compared
    # because it stands between two fixed texts.
    command = ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    program, _, rest = shown.partition(" -D ")
    return program.endswith("/postgres") and rest.startswith(f"{data.resolve()} --")


def _pid_in(path: Path) -> int | None:
    """Return the process id in the first line, or None without one."""
    try:
        first = path.read_bytes().split(b"\n", 1)[0]
    except OSError:
        return None
    # Below 2 are init, and what kill() takes for a group. A file without a number is damaged.
    pid = int(first) if first.isdigit() and len(first) < len(str(2**31)) else 0
    if pid > 1:
        return pid
    path.unlink(missing_ok=True)
    return None


def _end(process: Handle) -> None:
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send(number)
        if process.ended(STOP_SECONDS):
            return
