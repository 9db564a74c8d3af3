"""The two clocks: one for intervals, which no clock change moves, and one for timestamps."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What tells the time."""

    def uptime(self) -> float:
        """Seconds since boot; never goes back. The same scale as ``/proc/uptime``."""
        ...

    def wall(self) -> float:
        """Seconds since the epoch, as far as the node knows; may jump."""
        ...


class SystemClock:
    """The node's clocks."""

    def uptime(self) -> float:
        """Seconds since boot, by ``CLOCK_BOOTTIME``."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """Seconds since the epoch."""
        return time.time()


def rfc3339(seconds: float) -> str:
    """``seconds`` since the epoch as RFC 3339 in UTC, to the millisecond."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z"
