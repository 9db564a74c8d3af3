"""From counters to percentages."""

from __future__ import annotations

from typing import NamedTuple


class Count(NamedTuple):
    """CPU seconds used so far, and when they were read (seconds on the interval clock)."""

    at: float
    cpu_seconds: float


def cpu_percent(before: Count, after: Count, cpus: float) -> float | None:
    """The use of ``cpus`` CPUs between two counts, 0-100; None where the counts tell nothing.

    They tell nothing if no time has passed, or if the counter went back: it is another job's, or
    one whose processes left. More than all CPUs is a matter of when the kernel counted: 100.
    """
    available = (after.at - before.at) * cpus
    used = after.cpu_seconds - before.cpu_seconds
    if available <= 0 or used < 0:
        return None
    return min(100.0 * used / available, 100.0)
