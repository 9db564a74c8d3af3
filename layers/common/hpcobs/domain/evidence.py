"""The time up to which data may expire: no later than the evidence that it has come.

A deletion cannot be undone, and a clock can be wrong. So a time is believed only if the service's
clock and the database's agree on it, and if either the clock has run up to it without a jump, or
stored samples are from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

CLOCKS_APART = timedelta(minutes=5)
"""The time by which two clocks that are both right may differ."""

RUN_GAP = timedelta(hours=3)
"""The longest time between two runs in which the clock is trusted. Runs are hourly, some fail."""

JUMP = timedelta(days=1)
"""A jump of the clock by more than this is suspicious, though the service may have been off."""

STEADY_AFTER = timedelta(days=1)
"""The time that the clock must run after a jump before samples alone are evidence for it.

Where the nodes share the service's clock, their samples jump with it. An operator has a day to see
it.
"""


@dataclass(frozen=True, slots=True)
class Witness:
    """The evidence of earlier runs.

    ``believed_at`` is the time that is known to have come. ``ran_at`` is the database's time of the
    last run. The clock has not jumped since ``steady_since``.
    """

    believed_at: datetime
    ran_at: datetime
    steady_since: datetime


@dataclass(frozen=True, slots=True)
class Evidence:
    """The database's clock, the hour of the newest stored sample, and the evidence before it."""

    database_now: datetime
    newest_sample: datetime | None
    witness: Witness


def clocks_agree(ours: datetime, database_now: datetime) -> bool:
    """Return whether the service's clock and the database's show the same time."""
    return abs(ours - database_now) <= CLOCKS_APART


def witnessed(evidence: Evidence, now: datetime) -> Witness:
    """Return the evidence for ``now``, which the clocks agree on. It is believed up to ``now``."""
    before = evidence.witness
    passed = now - before.ran_at
    believed_at = before.believed_at
    if timedelta(0) <= passed <= RUN_GAP:
        believed_at += passed
    # The clocks of a site that is stopped each night jump each night, but by less than a day.
    jumped = passed > JUMP or passed < -CLOCKS_APART
    steady_since = now if jumped else before.steady_since
    believed_at = min(now, believed_at)
    if evidence.newest_sample is not None:
        newest = min(now, evidence.newest_sample)
        steady = now - steady_since >= STEADY_AFTER
        if newest > believed_at and (steady or newest - believed_at <= JUMP):
            believed_at = newest
    return Witness(believed_at, now, steady_since)


def confirmed(now: datetime) -> Witness:
    """Return the evidence after an operator confirmed that the clocks are right."""
    return Witness(believed_at=now, ran_at=now, steady_since=now)
