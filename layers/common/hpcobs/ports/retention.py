"""What retention needs: partitions to make and to drop, and old rows to delete."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime


class Span(Enum):
    """What a table's partitions hold: a day, or the month that begins with their first day."""

    DAYS = "days"
    MONTHS = "months"


TABLES = {
    "metric_samples": Span.DAYS,
    "gpu_samples": Span.DAYS,
    "metric_rollups": Span.MONTHS,
    "gpu_rollups": Span.MONTHS,
}
"""The partitioned tables."""


class Expiry(Protocol):
    """The parts of the store that grow old. A partition is named by the day that it begins with."""

    def ensure_partition(self, table: str, first: date) -> bool:
        """Make a partition; False if it was there."""

    def partitions(self, table: str) -> Sequence[date]:
        """The partitions of a table, oldest first."""

    def drop_partition(self, table: str, first: date) -> bool:
        """Drop a partition with all that is in it.

        False if the table was too busy to do so at once, or its samples are not rolled up.
        """

    def surplus_rejected(self, most: int) -> datetime | None:
        """Before when rejected samples are more than ``most``, the latest of which are kept."""

    def count_older(self, what: str, before: datetime) -> int:
        """How many rows of ``what`` are from before a time."""

    def delete_older(self, what: str, before: datetime, *, limit: int) -> int:
        """Delete rows of ``what`` from before a time, at most ``limit``; how many there were."""
