"""The processes of a cgroup, and their CPU time where the cgroup does not account it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups import files

if TYPE_CHECKING:
    from collections.abc import Iterable

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def processes_below(path: str) -> list[int]:
    """Return the ids of all processes in the cgroup at ``path`` and in those below it."""
    processes: list[int] = []
    # cgroup.procs lists a cgroup's own processes only. Slurm puts them in step and task folders.
    for folder, _, names in os.walk(path):
        if "cgroup.procs" in names:
            processes += _processes_in(folder)
    return processes


def _processes_in(folder: str) -> list[int]:
    try:
        # Anything else than a number is no process.
        return [
            int(line) for line in files.read(f"{folder}/cgroup.procs").split() if line.isdigit()
        ]
    except OSError:
        return []  # the step has just ended


def cpu_seconds(proc: str, processes: Iterable[int]) -> float:
    """Return the CPU seconds of ``processes`` and of their children that have ended.

    The fields are utime, stime, cutime and cstime of proc(5). Raise OSError if none of the
    processes can be read: they have ended, or /proc hides them (``hidepid``).
    """
    # A child's time passes to its parent when the parent waits for it. Without cutime and cstime
    # the sum would fall each time a child ends.
    found = [_ticks(f"{proc}/{process}/stat") for process in processes]
    read = [ticks for ticks in found if ticks is not None]
    if found and not read:
        # An error, since 0 seconds would look like an idle job.
        raise FileNotFoundError(f"{proc} shows none of the job's processes (hidepid?)")
    return sum(read) / _TICKS_PER_SECOND


def _ticks(path: str) -> int | None:
    try:
        stat = files.read(path)
    except OSError:
        return None  # the process has just ended
    # The second field is the command, which may contain spaces and parentheses.
    fields = stat[stat.rfind(b")") + 2 :].split()
    return sum(files.number(ticks) for ticks in fields[11:15])
