"""CPU time of processes, for jobs whose cgroup does not account it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.readers import files

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(proc: str, processes: Iterable[int]) -> float:
    """The CPU time of ``processes`` and of their children that have ended, in seconds.

    A child's time passes to its parent when it is waited for, so that the sum grows steadily. The
    fields are utime, stime, cutime and cstime of proc(5). OSError if there are processes and none
    of them can be read: they have ended, or /proc hides them (``hidepid``).
    """
    told = [_ticks(f"{proc}/{process}/stat") for process in processes]
    read = [ticks for ticks in told if ticks is not None]
    if told and not read:
        raise FileNotFoundError(f"{proc} shows none of the job's processes (hidepid?)")
    return sum(read) / _TICKS_PER_SECOND


def _ticks(path: str) -> int | None:
    try:
        stat = files.read(path)
    except OSError:
        return None  # the process has just ended
    # The second field is the command, which may hold spaces and parentheses.
    fields = stat[stat.rfind(b")") + 2 :].split()
    return sum(int(ticks) for ticks in fields[11:15])
