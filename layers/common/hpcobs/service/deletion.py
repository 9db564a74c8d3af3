"""Deletion: what a run of retention deletes, and what it holds back and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.evidence import clocks_agree, confirmed, witnessed
from hpcobs.ports.retention import ROWS, TABLES, Held, Reason, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import date, datetime

    from hpcobs.domain.evidence import Evidence, Witness
    from hpcobs.ports.retention import Expiry

REJECTED_DAYS = 30
HELD_STARTS_DAYS = 7
"""Days after a job's end that its held starts are kept, in case that a stronger source is late."""
MOST_REJECTED = 1_000_000
"""On a site without hooks every sample is rejected, and kept for longer than stored samples."""
BATCH = 5000
"""Rows of one deletion: it locks them for a short time, and fits the statement's time limit."""
RESERVE_SECONDS = 5.0
PARTITIONS_A_RUN = 1
"""Partitions of a table that one run drops. In normal operation one expires each day or month."""
ROWS_A_RUN = timedelta(days=1)
"""The span of rows that one run deletes, from the oldest on."""

_CONFIRM = "`hpcobs retention --confirm`"
EXPLANATIONS: Mapping[Reason, str] = {
    Reason.CLOCKS_DIFFER: "because the clocks of this host and of the database differ by more than"
    " 5 minutes. Correct the clock that is wrong",
    Reason.CLOCK_AHEAD: "because the clock is ahead of the last run and of the newest samples."
    f" Check the clock. If it is right, run {_CONFIRM}",
    Reason.PACE: "because one run deletes at most one day (of roll-ups: one month) of each table."
    f" The next runs delete the rest. To delete it now, run {_CONFIRM}",
    Reason.ROLL_UPS: "because not all of their samples are rolled up. The next runs roll them up",
    Reason.IN_USE: "because a transaction uses the table. The next run tries again",
}
"""Why data stay, and what to do."""


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

    def rows(self) -> Mapping[str, timedelta]:
        """Return how long each kind is kept whose rows are deleted one by one."""
        return {
            "audit": timedelta(days=self.audit_days),
            "rejected": timedelta(days=self.rejected_days),
            "dead": timedelta(days=self.rejected_days),
            "held_starts": timedelta(days=HELD_STARTS_DAYS),
        }


@dataclass(slots=True)
class RetentionReport:
    """The result of a run. A dry run changes nothing, and reports what a run would do.

    ``rolled_hours`` counts the hours of samples summed up. ``busy`` lists partitions that could not
    be locked soon, or whose samples are not rolled up yet: the next run tries again. ``held`` lists
    all data that are past their limit and stay.
    """

    dry_run: bool
    made: list[str] = field(default_factory=list)
    rolled_hours: int = 0
    dropped: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    deleted: dict[str, int] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    finished: bool = True


@dataclass(frozen=True, slots=True)
class Horizon:
    """The times that a run acts on.

    ``now`` is what both clocks have reached. ``believed`` is the part of it for which there is
    evidence. ``witness`` is None if the clocks differ: then nothing is deleted. ``paced`` is false
    if an operator confirmed the run.
    """

    now: datetime
    believed: datetime
    witness: Witness | None
    paced: bool


def horizon_of(evidence: Evidence, ours: datetime, *, confirm: bool) -> Horizon:
    """Return the times that a run acts on."""
    now = min(ours, evidence.database_now)
    if not clocks_agree(ours, evidence.database_now):
        return Horizon(now, now, None, paced=True)
    seen = confirmed(now) if confirm else witnessed(evidence, now)
    return Horizon(now, seen.believed_at, seen, paced=not confirm)


class Deletion:
    """The deletions of one run."""

    def __init__(
        self,
        expiry: Expiry,
        limits: RetentionLimits,
        horizon: Horizon,
        report: RetentionReport,
        remaining_seconds: Callable[[], float],
    ) -> None:
        self._expiry = expiry
        self._limits = limits
        self._horizon = horizon
        self._report = report
        self._remaining_seconds = remaining_seconds

    def run(self) -> None:
        """Drop expired partitions, then delete expired rows."""
        for table, span in TABLES.items():
            self._drop_partitions(table, span)
        for what, kept in self._limits.rows().items():
            self._delete_rows(what, kept)
        # By number and not by age: no clock decides. But while clocks differ, good samples are
        # rejected as too old or too new, and wait here for a replay.
        surplus = self._expiry.surplus_rejected(self._limits.rejected_rows)
        if surplus is not None and self._horizon.witness is not None:
            self._delete("rejected", surplus)

    def _drop_partitions(self, table: str, span: Span) -> None:
        # A partition is dropped once all of it is older than the limit, and none before an
        # older one, because a series reads roll-ups up to one time and samples from then on.
        expired = self._expired(table, span, self._horizon.now)
        if self._horizon.witness is None:
            self._hold_partitions(table, span, expired, Reason.CLOCKS_DIFFER)
            return
        due = self._expired(table, span, self._horizon.believed)
        allowed = due[:PARTITIONS_A_RUN] if self._horizon.paced else due
        if span is Span.MONTHS:
            allowed = self._without_samples(table, span, allowed)
        for number, first in enumerate(allowed):
            reason = self._drop(table, span, first)
            if reason is not None:
                self._hold_partitions(table, span, allowed[number:], reason)
                break
        self._hold_partitions(table, span, due[len(allowed) :], Reason.PACE)
        self._hold_partitions(table, span, expired[len(due) :], Reason.CLOCK_AHEAD)

    def _without_samples(self, table: str, span: Span, months: Sequence[date]) -> Sequence[date]:
        """Return the months of roll-ups all of whose days of samples are dropped.

        The other days are checked against their roll-ups, which would have to be made again.
        """
        samples = table.replace("_rollups", "_samples")
        # A dry run only lists what it would drop.
        days = self._expiry.partitions(samples)
        left = [day for day in days if f"{samples} {day}" not in self._report.dropped]
        return [first for first in months if not left or _after(span, first) <= left[0]]

    def _expired(self, table: str, span: Span, now: datetime) -> Sequence[date]:
        """Return the partitions whose rows were all too old at a time, oldest first."""
        oldest_kept = now.date() - timedelta(days=self._limits.of_partitions(span))
        partitions = self._expiry.partitions(table)
        return [first for first in partitions if _after(span, first) <= oldest_kept]

    def _drop(self, table: str, span: Span, first: date) -> Reason | None:
        """Drop a partition, or return why it stays. A dry run only looks at the reasons."""
        if self._report.dry_run:
            # The run would roll up the hours that are due first.
            complete = span is not Span.DAYS or self._expiry.rolled_up(table, first, due=True)
            reason = None if complete else Reason.ROLL_UPS
        elif self._expiry.drop_partition(table, first):
            reason = None
        else:
            lacking = span is Span.DAYS and not self._expiry.rolled_up(table, first, due=False)
            reason = Reason.ROLL_UPS if lacking else Reason.IN_USE
        listed = self._report.dropped if reason is None else self._report.busy
        listed.append(f"{table} {first}")
        return reason

    def _hold_partitions(
        self, table: str, span: Span, firsts: Sequence[date], reason: Reason
    ) -> None:
        if firsts:
            days = float(sum((_after(span, first) - first).days for first in firsts))
            self._report.held.append(Held(table, reason, days))

    def _delete_rows(self, what: str, kept: timedelta) -> None:
        self._report.deleted.setdefault(what, 0)
        oldest = self._expiry.oldest(what)
        if oldest is None:
            return
        expired, due = self._horizon.now - kept, self._horizon.believed - kept
        if self._horizon.witness is None:
            self._hold_rows(what, oldest, expired, Reason.CLOCKS_DIFFER)
            return
        before = min(due, oldest + ROWS_A_RUN) if self._horizon.paced else due
        self._delete(what, before)
        self._hold_rows(what, before, due, Reason.PACE)
        self._hold_rows(what, due, expired, Reason.CLOCK_AHEAD)

    def _hold_rows(self, what: str, since: datetime, until: datetime, reason: Reason) -> None:
        """Report the rows from ``since`` to before ``until`` as held, if there are any."""
        first = self._expiry.oldest(what, since) if since < until else None
        if first is not None and first < until:
            days = (until - first) / timedelta(days=1)
            self._report.held.append(Held(ROWS[what], reason, days))

    def _delete(self, what: str, before: datetime) -> None:
        # Rejected samples come twice: those that are too old, then those that are too many.
        counted = self._report.deleted.setdefault(what, 0)
        if self._report.dry_run:
            self._report.deleted[what] = max(counted, self._expiry.count_older(what, before))
            return
        while self._remaining_seconds() > RESERVE_SECONDS:
            count = self._expiry.delete_older(what, before, limit=BATCH)
            self._report.deleted[what] += count
            if count < BATCH:
                return
        self._report.finished = False


def _after(span: Span, first: date) -> date:
    """Return the day after a partition's last."""
    if span is Span.DAYS:
        return first + timedelta(days=1)
    return (first + timedelta(days=31)).replace(day=1)
