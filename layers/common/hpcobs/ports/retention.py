"""The interface of retention: partitions to create and to drop, and old rows to delete."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime


class Span(Enum):
    """The span of a table's partitions: a day, or the month that begins with their first day."""

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
    """The parts of the store that expire. A partition is named by its first day."""

    def ensure_partition(self, table: str, first: date) -> bool:
        """Create a partition. Return False if it existed."""

    def partitions(self, table: str) -> Sequence[date]:
        """Return the first days of a table's partitions, oldest first."""

    def drop_partition(self, table: str, first: date) -> bool:
        """Drop a partition with its rows.

        Return False if its table is busy, or its samples are not rolled up.
        """

    def surplus_rejected(self, most: int) -> datetime | None:
        """Return when the oldest of the latest ``most`` rejected samples was rejected.

        Earlier ones are surplus. Return None if there are fewer than ``most``.
        """

    def count_older(self, what: str, before: datetime) -> int:
        """Return how many rows of ``what`` are from before a time."""

    def delete_older(self, what: str, before: datetime, *, limit: int) -> int:
        """Delete at most ``limit`` rows of ``what`` from before a time. Return how many."""
