"""Retention: room for the days to come, roll-ups, and an end for what is too old."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.rollups import closed_before
from hpcobs.ports.clock import utc_now
from hpcobs.ports.retention import TABLES, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date

    from hpcobs.ports.clock import Clock
    from hpcobs.ports.retention import Expiry
    from hpcobs.ports.rollups import Rollups

DAYS_AHEAD = 3
REJECTED_DAYS = 30
MOST_REJECTED = 1_000_000
"""On a site without hooks every sample is set aside, for longer than good ones are kept."""
BATCH = 5000
RESERVE_SECONDS = 5.0
ROLL_RESERVE_SECONDS = 20.0
"""What an hour of a large site takes; one that takes longer is cut off and begun again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionLimits:
    """How many days are kept of each kind; roll-ups at least as long as samples.

    Of rejected samples there are never many more than ``rejected_rows``, the latest of them.
    """

    samples_days: int
    audit_days: int
    rollup_days: int
    rejected_days: int = REJECTED_DAYS
    rejected_rows: int = MOST_REJECTED

    def of_partitions(self, span: Span) -> int:
        """The days kept of what is dropped by partitions of that span."""
        if span is Span.DAYS:
            return self.samples_days
        return max(self.rollup_days, self.samples_days)

    def rows(self) -> Mapping[str, int]:
        """The days kept of what is deleted row by row."""
        return {
            "audit": self.audit_days,
            "rejected": self.rejected_days,
            "dead": self.rejected_days,
        }


@dataclass(slots=True)
class RetentionReport:
    """What a run did; of a dry run, what it would have done.

    ``rolled_hours`` are hours of samples summed up. ``busy`` are partitions that could not be
    dropped at once, or whose samples are not rolled up yet: the next run tries again.
    """

    dry_run: bool
    made: list[str] = field(default_factory=list)
    rolled_hours: int = 0
    dropped: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    finished: bool = True


class Retention:
    """The use case of the retention schedule."""

    def __init__(
        self, expiry: Expiry, rollups: Rollups, limits: RetentionLimits, clock: Clock = utc_now
    ) -> None:
        self._expiry = expiry
        self._rollups = rollups
        self._limits = limits
        self._clock = clock

    def run(
        self, remaining_seconds: Callable[[], float], *, dry_run: bool = False
    ) -> RetentionReport:
        """Make the coming partitions, roll up, drop and delete what is old, while time lasts."""
        report = RetentionReport(dry_run=dry_run)
        now = self._clock()
        for table, span in TABLES.items():
            self._make(table, _coming(span, now.date()), report)
        self._roll(closed_before(now), remaining_seconds, report)
        for table, span in TABLES.items():
            self._drop(table, span, now.date(), report)
        for what, days in self._limits.rows().items():
            self._delete(what, now - timedelta(days=days), remaining_seconds, report)
        surplus = self._expiry.surplus_rejected(self._limits.rejected_rows)
        if surplus is not None:
            self._delete("rejected", surplus, remaining_seconds, report)
        return report

    def _make(self, table: str, coming: Sequence[date], report: RetentionReport) -> None:
        there = set(self._expiry.partitions(table))
        for first in coming:
            if first not in there and (
                report.dry_run or self._expiry.ensure_partition(table, first)
            ):
                report.made.append(f"{table} {first}")

    def _roll(
        self, before: datetime, remaining_seconds: Callable[[], float], report: RetentionReport
    ) -> None:
        if report.dry_run:
            report.rolled_hours = self._rollups.count_due(before)
            return
        for hour in self._rollups.due(before):
            if remaining_seconds() < ROLL_RESERVE_SECONDS or not self._rollups.roll(hour):
                report.finished = False
                return
            report.rolled_hours += 1

    def _drop(self, table: str, span: Span, today: date, report: RetentionReport) -> None:
        # A partition goes when all of it is older than the limit; none before an older one.
        oldest_kept = today - timedelta(days=self._limits.of_partitions(span))
        for first in self._expiry.partitions(table):
            if _after(span, first) > oldest_kept:
                break
            gone = report.dry_run or self._expiry.drop_partition(table, first)
            (report.dropped if gone else report.busy).append(f"{table} {first}")
            if not gone:
                break

    def _delete(
        self,
        what: str,
        before: datetime,
        remaining_seconds: Callable[[], float],
        report: RetentionReport,
    ) -> None:
        already = report.deleted.setdefault(what, 0)
        if report.dry_run:
            report.deleted[what] = max(already, self._expiry.count_older(what, before))
            return
        while remaining_seconds() > RESERVE_SECONDS:
            count = self._expiry.delete_older(what, before, limit=BATCH)
            report.deleted[what] += count
            if count < BATCH:
                return
        report.finished = False


def _coming(span: Span, today: date) -> Sequence[date]:
    """The partitions that will be needed soon."""
    days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    if span is Span.DAYS:
        return days
    return sorted({day.replace(day=1) for day in days})


def _after(span: Span, first: date) -> date:
    """The day after a partition's last."""
    if span is Span.DAYS:
        return first + timedelta(days=1)
    return (first + timedelta(days=31)).replace(day=1)
