"""Retention: create the partitions of the next days, roll samples up, and delete old data.

A deletion cannot be undone. So it follows the evidence of the time and not one clock, and one run
deletes at most a day's worth (ADR 0027).
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.rollups import closed_before
from hpcobs.ports.clock import utc_now
from hpcobs.ports.retention import TABLES, Reason, Span
from hpcobs.service.deletion import (
    EXPLANATIONS,
    Deletion,
    RetentionLimits,
    RetentionReport,
    horizon_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from hpcobs.ports.clock import Clock
    from hpcobs.ports.retention import Expiry
    from hpcobs.ports.rollups import Rollups
    from hpcobs.service.deletion import Horizon

__all__ = ["Retention", "RetentionLimits", "RetentionReport"]

logger = logging.getLogger(__name__)

DAYS_AHEAD = 3
"""Partitions exist so long before samples need them: the collector should not wait for one."""
ROLL_RESERVE_SECONDS = 20.0
"""The time to roll up an hour of a large site. If it takes longer, the next run repeats it."""

_HELD_LINE = "retention keeps data past their limit: %s, %s"


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
        self,
        remaining_seconds: Callable[[], float],
        *,
        dry_run: bool = False,
        confirm: bool = False,
    ) -> RetentionReport:
        """Create partitions, roll up samples, and delete old data, until the time is up.

        ``confirm`` deletes all that the clocks show to be too old, in one run.
        """
        report = RetentionReport(dry_run=dry_run)
        evidence = self._expiry.evidence()
        horizon = horizon_of(evidence, self._clock(), confirm=confirm)
        for table, span in TABLES.items():
            self._create(table, _coming(span, evidence.database_now.date()), report)
        # Before the partitions are dropped: a day of samples must be rolled up first.
        self._roll(closed_before(horizon.now), remaining_seconds, report)
        Deletion(self._expiry, self._limits, horizon, report, remaining_seconds).run()
        if not dry_run:
            self._record(horizon, report)
        return report

    def _record(self, horizon: Horizon, report: RetentionReport) -> None:
        if horizon.witness is None:
            self._expiry.hold(report.held)
        else:
            self._expiry.record(horizon.witness, report.held)
        for reason in Reason:
            held = [one for one in report.held if one.reason is reason]
            if held:
                tables = ", ".join(f"{one.table} {one.days:.0f} d" for one in held)
                logger.warning(_HELD_LINE, tables, EXPLANATIONS[reason])

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


def _coming(span: Span, today: date) -> Sequence[date]:
    """Return the first days of the partitions that are needed soon."""
    days = [today + timedelta(days=ahead) for ahead in range(DAYS_AHEAD + 1)]
    if span is Span.DAYS:
        return days
    return sorted({day.replace(day=1) for day in days})
