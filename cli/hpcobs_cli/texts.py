"""Values in the form that people read in a table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR
# The API's megabytes are 1,048,576 bytes, as Slurm's are.
GIB_IN_MB = 1024

STATE_STYLES = {
    "pending": "yellow",
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "suspended": "yellow",
}
NOTHING = "-"
BARS = "▁▂▃▄▅▆▇█"


def state(job: Mapping[str, Any]) -> str:
    """Return the job's state, or ``suspended``. A question mark follows an unconfirmed end."""
    if job.get("suspended"):
        return "suspended"
    return f"{job['state']}?" if job.get("end_confirmed") is False else str(job["state"])


def state_style(job: Mapping[str, Any]) -> str:
    """Return the style of the job's state."""
    return STATE_STYLES.get(state(job).rstrip("?"), "")


def printable(value: Any) -> str:
    """Return a user's text without control characters, which a terminal would obey."""
    text = NOTHING if value is None else str(value)
    return "".join(character if character.isprintable() else "�" for character in text)


def duration(seconds: float | None) -> str:
    """Format seconds as ``2d 03h``, ``1h 05m``, ``3m 20s`` or ``12s``."""
    if seconds is None:
        return NOTHING
    whole = int(seconds)
    if whole >= DAY:
        return f"{whole // DAY}d {whole % DAY // HOUR:02d}h"
    if whole >= HOUR:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE:02d}m"
    if whole >= MINUTE:
        return f"{whole // MINUTE}m {whole % MINUTE:02d}s"
    return f"{whole}s"


def memory(megabytes: float | None) -> str:
    """Format megabytes as ``512 MB`` or ``12.5 GB``."""
    if megabytes is None:
        return NOTHING
    if megabytes < GIB_IN_MB:
        return f"{megabytes:.0f} MB"
    return f"{megabytes / GIB_IN_MB:.1f} GB"


def percent(value: float | None) -> str:
    """Format a percentage without decimals."""
    return NOTHING if value is None else f"{value:.0f} %"


def time(text: str | None) -> str:
    """Format an RFC 3339 time as date and time in UTC, to the second."""
    if text is None:
        return NOTHING
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def nodes(names: Sequence[str], *, most: int = 3) -> str:
    """Format the first few nodes, and the number of the others."""
    shown = ",".join(printable(name) for name in names[:most]) or NOTHING
    return shown if len(names) <= most else f"{shown} +{len(names) - most}"


def sparkline(values: Sequence[float], *, top: float) -> str:
    """Format values from 0 to ``top`` as a line of bars."""
    if top <= 0:
        return BARS[0] * len(values)
    last = len(BARS) - 1
    return "".join(BARS[min(last, max(0, round(last * value / top)))] for value in values)
