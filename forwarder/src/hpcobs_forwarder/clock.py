"""Two clocks: one for intervals, which no change of the time moves, and one for timestamps."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """The clocks of a node."""

    def uptime(self) -> float:
        """Return the seconds since boot, as in ``/proc/uptime``. They never go back."""
        ...

    def wall(self) -> float:
        """Return the seconds since the epoch by the node's clock, which may jump."""
        ...


class SystemClock:
    """The real clocks."""

    def uptime(self) -> float:
        """Return the seconds since boot, by ``CLOCK_BOOTTIME``."""
        # Not CLOCK_MONOTONIC: it stops while the node sleeps, and hooks write /proc/uptime.
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()


def rfc3339(seconds: float) -> str:
    """Return a time in seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z"
