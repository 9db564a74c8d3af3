"""The interface of retention: partitions to create and to drop, and old rows to delete."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from hpcobs.domain.evidence import Evidence, Witness


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

ROWS = {
    "audit": "job_audit_events",
    "rejected": "rejected_samples",
    "dead": "sample_queue_dead",
}
"""The kinds of data whose rows are deleted one by one, with their tables."""


class Reason(StrEnum):
    """Why retention does not delete data that are past their limit."""

    CLOCKS_DIFFER = "clocks_differ"
    CLOCK_AHEAD = "clock_ahead"
    PACE = "pace"
    ROLL_UPS = "roll_ups"
    IN_USE = "in_use"


@dataclass(frozen=True, slots=True)
class Held:
    """Data of a table that are past their limit, and that a run does not delete."""

    table: str
    reason: Reason
    days: float


class Expiry(Protocol):
    """The parts of the store that expire. A partition is named by its first day."""

    def ensure_partition(self, table: str, first: date) -> bool:
        """Create a partition. Return False if it existed."""

    def partitions(self, table: str) -> Sequence[date]:
        """Return the first days of a table's partitions, oldest first."""

    def drop_partition(self, table: str, first: date) -> bool:
        """Drop a partition with its rows.

        Return False if its table is busy, its samples are not all rolled up, or it is not past by
        the database's clock.
        """

    def rolled_up(self, table: str, first: date, *, due: bool) -> bool:
        """Return whether all samples of a day are rolled up, or ``due`` if hours of it are due."""

    def evidence(self) -> Evidence:
        """Return the database's time, and the evidence that this time has come."""

    def record(self, witness: Witness, held: Sequence[Held]) -> None:
        """Store the evidence for the next run, and the held data for ``/metrics``."""

    def hold(self, held: Sequence[Held]) -> None:
        """Store the held data for ``/metrics``. Keep the evidence of the run before."""

    def oldest(self, what: str, since: datetime | None = None) -> datetime | None:
        """Return the time of the oldest row of ``what`` since a time, or None without one."""

    def surplus_rejected(self, most: int) -> datetime | None:
        """Return when the oldest of the latest ``most`` rejected samples was rejected.

        Earlier ones are surplus. Return None if there are fewer than ``most``.
        """

    def count_older(self, what: str, before: datetime) -> int:
        """Return how many rows of ``what`` are from before a time."""

    def delete_older(self, what: str, before: datetime, *, limit: int) -> int:
        """Delete at most ``limit`` rows of ``what`` from before a time. Return how many."""
