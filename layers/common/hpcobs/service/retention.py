"""Retention: create the partitions of the next days, roll samples up, and delete old rows."""

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
"""Partitions exist so long before samples need them: the collector should not wait for one."""
REJECTED_DAYS = 30
HELD_STARTS_DAYS = 7
"""Days after a job's end that its held starts are kept, in case that a stronger source is late."""
MOST_REJECTED = 1_000_000
"""On a site without hooks every sample is rejected, and kept for longer than stored samples."""
BATCH = 5000
"""Rows of one deletion: it locks them for a short time, and fits the statement's time limit."""
RESERVE_SECONDS = 5.0
ROLL_RESERVE_SECONDS = 20.0
"""The time to roll up an hour of a large site. If it takes longer, the next run repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionLimits:
    """The days that each kind is kept. Roll-ups are kept at least as long as samples.

    About ``rejected_rows`` rejected samples are kept at most, the latest ones.
    """

    samples_days: int
    audit_days: int
    rollup_days: int
    rejected_days: int = REJECTED_DAYS
    rejected_rows: int = MOST_REJECTED

    def of_partitions(self, span: Span) -> int:
        """Return the days that the rows in partitions of that span are kept."""
        if span is Span.DAYS:
            return self.samples_days
        return max(self.rollup_days, self.samples_days)

    def rows(self) -> Mapping[str, int]:
        """Return the days that each kind is kept whose rows are deleted one by one."""
        return {
            "audit": self.audit_days,
            "rejected": self.rejected_days,
            "dead": self.rejected_days,
            "held_starts": HELD_STARTS_DAYS,
        }


@dataclass(slots=True)
class RetentionReport:
    """The result of a run. A dry run changes nothing, and reports what a run would do.

    ``rolled_hours`` counts the hours of samples summed up. ``busy`` lists partitions that could not
    be locked soon, or whose samples are not rolled up yet: the next run tries again.
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
        """Create partitions, roll up samples, and delete old data, until the time is up."""
        report = RetentionReport(dry_run=dry_run)
        now = self._clock()
        for table, span in TABLES.items():
            self._create(table, _coming(span, now.date()), report)
        # Before the partitions are dropped: a day of samples must be rolled up first.
        self._roll(closed_before(now), remaining_seconds, report)
        for table, span in TABLES.items():
            self._drop(table, span, now.date(), report)
        for what, days in self._limits.rows().items():
            self._delete(what, now - timedelta(days=days), remaining_seconds, report)
        surplus = self._expiry.surplus_rejected(self._limits.rejected_rows)
        if surplus is not None:
            self._delete("rejected", surplus, remaining_seconds, report)
        return report

    def _create(self, table: str, coming: Sequence[date], report: RetentionReport) -> None:
        existing = set(self._expiry.partitions(table))
        for first in coming:
            if first not in existing and (
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
        # A partition is dropped once all of it is older than the limit, and none before an
        # older one, because a series reads roll-ups up to one time and samples from then on.
        oldest_kept = today - timedelta(days=self._limits.of_partitions(span))
        for first in self._expiry.partitions(table):
            if _after(span, first) > oldest_kept:
                break
            dropped = report.dry_run or self._expiry.drop_partition(table, first)
            (report.dropped if dropped else report.busy).append(f"{table} {first}")
            if not dropped:
                break

    def _delete(
        self,
        what: str,
        before: datetime,
        remaining_seconds: Callable[[], float],
        report: RetentionReport,
    ) -> None:
        # Rejected samples come twice: those that are too old, then those that are too many.
        counted = report.deleted.setdefault(what, 0)
        if report.dry_run:
            report.deleted[what] = max(counted, self._expiry.count_older(what, before))
            return
        while remaining_seconds() > RESERVE_SECONDS:
            count = self._expiry.delete_older(what, before, limit=BATCH)
            report.deleted[what] += count
            if count < BATCH:
                return
        report.finished = False


def _coming(span: Span, today: date) -> Sequence[date]:
    """Return the first days of the partitions that are needed soon."""
    days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    if span is Span.DAYS:
        return days
    return sorted({day.replace(day=1) for day in days})


def _after(span: Span, first: date) -> date:
    """Return the day after a partition's last."""
    if span is Span.DAYS:
        return first + timedelta(days=1)
    return (first + timedelta(days=31)).replace(day=1)
