"""Roll-ups: the intervals that samples are summed up by, and when an interval is complete."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FIVE_MINUTES = 300
HOUR = 3600

CLOSED_AFTER = timedelta(minutes=15)
"""How long after an hour's end it is rolled up: batches may be late, and clocks ahead."""


def interval_seconds(resolution_seconds: int | None) -> int:
    """The roll-ups from which buckets of that resolution are made: the longest that fit in."""
    if resolution_seconds is not None and resolution_seconds % HOUR == 0:
        return HOUR
    return FIVE_MINUTES


def closed_before(now: datetime) -> datetime:
    """The hour before which hours are complete, but for late samples."""
    return hour_of(now - CLOSED_AFTER)


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour (UTC) that a time falls in."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
