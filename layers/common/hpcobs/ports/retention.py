"""What retention needs: day partitions to make and to drop, and old rows to delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

SAMPLE_TABLES = ("metric_samples", "gpu_samples")


class Expiry(Protocol):
    """The parts of the store that grow old."""

    def ensure_partition(self, table: str, day: date) -> bool:
        """Make a day's partition; False if it was there."""

    def partitions(self, table: str) -> Sequence[date]:
        """The days that a table has partitions for, oldest first."""

    def drop_partition(self, table: str, day: date) -> bool:
        """Drop a day with all its samples; False if the table was too busy to do so at once."""

    def count_older(self, what: str, before: datetime) -> int:
        """How many rows of ``what`` are from before a time."""

    def delete_older(self, what: str, before: datetime, *, limit: int) -> int:
        """Delete rows of ``what`` from before a time, at most ``limit``; how many there were."""
