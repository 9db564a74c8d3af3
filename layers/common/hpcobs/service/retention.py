"""Retention: room for the days to come, and an end for what is older than a site keeps."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs.ports.clock import utc_now
from hpcobs.ports.retention import SAMPLE_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from hpcobs.ports.clock import Clock
    from hpcobs.ports.retention import Expiry

DAYS_AHEAD = 3
REJECTED_DAYS = 30
BATCH = 5000
RESERVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionLimits:
    """How many days are kept of each kind."""

    samples_days: int
    audit_days: int
    rejected_days: int = REJECTED_DAYS

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

    ``busy`` are partitions that could not be dropped at once: the next run tries again.
    """

    dry_run: bool
    made: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    finished: bool = True


class Retention:
    """The use case of the retention schedule."""

    def __init__(self, expiry: Expiry, limits: RetentionLimits, clock: Clock = utc_now) -> None:
        self._expiry = expiry
        self._limits = limits
        self._clock = clock

    def run(
        self, remaining_seconds: Callable[[], float], *, dry_run: bool = False
    ) -> RetentionReport:
        """Make the coming days' partitions, drop the old ones, delete old rows while time lasts."""
        report = RetentionReport(dry_run=dry_run)
        now = self._clock()
        for table in SAMPLE_TABLES:
            self._make(table, now.date(), report)
            self._drop(table, now.date(), report)
        for what, days in self._limits.rows().items():
            self._delete(what, now - timedelta(days=days), remaining_seconds, report)
        return report

    def _make(self, table: str, today: date, report: RetentionReport) -> None:
        there = set(self._expiry.partitions(table))
        for ahead in range(DAYS_AHEAD + 1):
            day = today + timedelta(days=ahead)
            made = day not in there and (
                report.dry_run or self._expiry.ensure_partition(table, day)
            )
            if made:
                report.made.append(f"{table} {day}")

    def _drop(self, table: str, today: date, report: RetentionReport) -> None:
        # A day goes when all of it is older than the limit.
        oldest_kept = today - timedelta(days=self._limits.samples_days)
        for day in self._expiry.partitions(table):
            if day >= oldest_kept:
                break
            gone = report.dry_run or self._expiry.drop_partition(table, day)
            (report.dropped if gone else report.busy).append(f"{table} {day}")

    def _delete(
        self,
        what: str,
        before: datetime,
        remaining_seconds: Callable[[], float],
        report: RetentionReport,
    ) -> None:
        if report.dry_run:
            report.deleted[what] = self._expiry.count_older(what, before)
            return
        report.deleted[what] = 0
        while remaining_seconds() > RESERVE_SECONDS:
            count = self._expiry.delete_older(what, before, limit=BATCH)
            report.deleted[what] += count
            if count < BATCH:
                return
        report.finished = False
