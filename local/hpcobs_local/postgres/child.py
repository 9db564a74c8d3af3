"""A program of PostgreSQL as a child of this process, guarded from its first moment.

Its process id comes from the kernel and not from a file, so a stop works at any moment of a start.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from hpcobs_local.postgres import programs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

AGAIN_SECONDS = 0.2

WRAPPER = 'echo "$$"; exec "$@" >&2'
"""Write the process id to standard output, then become the program, which writes to the log."""

GUARD = """
start_of() {
    { read -r stat < "/proc/$pid/stat"; } 2>/dev/null || return 0
    set -- ${stat##*) }
    [ "$1" = Z ] && echo ended || echo "${20}"
}
read -r pid || exit
started=$(start_of)
read -r _
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ "$(start_of)" = "$started" ] && kill "$1" "$2$pid" || exit
    sleep 0.2
done
"""
"""Read a process id, wait for the end of standard input, then signal that process.

Its start time, from /proc where there is one, shows whether the number is still the same process.
The signal is repeated: one that comes before the program handles it may be lost.
"""


class Guard:
    """A shell that ends a child if this process dies without doing it, even by SIGKILL.

    The kernel closes this process's end of the pipe then, and the shell reads the end of the file.
    """

    def __init__(self, signal_name: str, *, group: bool) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "hpcobs-guard", f"-{signal_name}", "-" if group else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def pipe(self) -> IO[bytes]:
        """The pipe to which the child writes its process id."""
        assert self._process.stdin is not None
        return self._process.stdin

    def dismiss(self) -> None:
        """End the guard without a signal to the child."""
        # Killed before its pipe is closed: the end of the pipe is what it waits for.
        self._process.kill()
        self._process.communicate()


class Child:
    """A running program. If this process dies, it gets the signal with that name.

    With ``group`` the signal is for its children too.
    """

    def __init__(
        self, command: Sequence[str], log: Path, *, guard_signal: str, group: bool = False
    ) -> None:
        self._group = group
        self._guard = Guard(guard_signal, group=group)
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", WRAPPER, "hpcobs-postgres", *command],
                    stdin=subprocess.DEVNULL,
                    # The guard has the process id before the program runs, and before Popen
                    # returns: this process may be killed at any moment.
                    stdout=self._guard.pipe,
                    stderr=output,
                    env=programs.environment(),
                    # The user of the programs may not be allowed to enter the current folder.
                    cwd="/",
                    # Ctrl-C is for the service alone, which then stops its processes in order.
                    start_new_session=True,
                )
        except BaseException:
            self._guard.dismiss()
            raise

    @property
    def pid(self) -> int:
        """The process id, which is the program's and not a shell's."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """The exit status, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float) -> bool:
        """Wait until the program has ended, and return whether it has within ``seconds``."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def end(self, *numbers: int, seconds: float) -> None:
        """Send each signal in turn until the program has ended, and wait for its end.

        Each but the last one has ``seconds``. Signals are repeated in that time, because one that
        comes before the program handles it may be lost.
        """
        for number in numbers[:-1]:
            deadline = time.monotonic() + seconds
            while self.status is None and time.monotonic() < deadline:
                self.send_signal(number)
                self.wait(AGAIN_SECONDS)
        if self.status is None:
            self.send_signal(numbers[-1])
        self._process.wait()
        self._guard.dismiss()

    def send_signal(self, number: int) -> None:
        """Send a signal, to its children too if it has a group."""
        # Until somebody waits for the child, its number is no other process's.
        if self._group:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
        else:
            self._process.send_signal(number)
