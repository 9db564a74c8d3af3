"""Roll-ups: the intervals by which samples are summed up, and when an interval is complete."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.samples import hour_of

if TYPE_CHECKING:
    from datetime import datetime

FIVE_MINUTES = 300
HOUR = 3600

CLOSED_AFTER = timedelta(minutes=15)
"""Delay between an hour's end and its roll-up: batches may be late, and clocks ahead."""


def interval_seconds(resolution_seconds: int | None) -> int:
    """Return the interval of the roll-ups for buckets of a resolution: the longest that fits."""
    # Longer roll-ups mean fewer rows to read, but a bucket must not split one.
    if resolution_seconds is not None and resolution_seconds % HOUR == 0:
        return HOUR
    return FIVE_MINUTES


def closed_before(now: datetime) -> datetime:
    """Return the hour before which hours are complete, except for late samples."""
    return hour_of(now - CLOSED_AFTER)
