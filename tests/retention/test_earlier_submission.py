"""Roll-ups of dropped days go to a submission that is reported after a later one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.builders import AUDIT, T0, scheduler_job
from tests.retention.test_rebuilding import RESET, Life

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import SingleConnection
    from tests.stores import Query

pytestmark = pytest.mark.usefixtures("clock_at_t0")

DAY = 86_400
LATE = timedelta(minutes=10)
SKEW = timedelta(minutes=1)


class Reused(Life):
    """Job 1 as its second submission, which is known first."""

    def prolog(self, begun: datetime, *, requeued: bool = False) -> None:
        """Report nothing: only the controller reports."""

    def add_earlier(self, moment: datetime, end: datetime) -> None:
        """Report the first submission, which ended before the second one."""
        view = scheduler_job("COMPLETED", 0, user="first", restart_count=0)
        ended = replace(view, end_time=end, observed_at=end)
        event = replace(ended, submit_time=self.submitted, start_time=self.submitted)
        self._with_events(lambda events: events.sync([event], [], AUDIT))
        self.books.move(0, 1, moment)
        self.job = 1
        last = max(end, min(end + LATE, moment - SKEW - timedelta(microseconds=1)))
        sealed = self.books.sealed_before
        waiting = [
            entry
            for entry in self.books.of(0)
            if entry.sample.timestamp > last and entry.sample.timestamp >= sealed
        ]
        self.books.entries = [entry for entry in self.books.entries if entry not in waiting]
        ((count,),) = self.query("SELECT count(*) FROM waiting_samples")
        assert count == len(waiting)


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example(submit=DAY, end=DAY - 3600, pause=3 * DAY)
@example(submit=3 * DAY + 1201, end=DAY, pause=2 * DAY)
@given(
    submit=st.integers(3600, 5 * DAY),
    end=st.integers(60, 5 * DAY),
    pause=st.sampled_from([0, DAY, 2 * DAY, 3 * DAY]),
)
def test_earlier_submission_gets_dropped_days(
    connect: Callable[[], SingleConnection], query: Query, submit: int, end: int, pause: int
) -> None:
    query(RESET)
    life, moment = Reused(connect, query), T0 + timedelta(seconds=submit)
    life.now = T0 + timedelta(days=6)
    life.view(moment, submit_time=moment)
    life.now = T0
    for _ in range(6):
        life.sample(DAY)
    if pause:
        life.retain(pause)
    life.check()
    life.add_earlier(moment, min(T0 + timedelta(seconds=end), moment))
    life.check()
    life.retain(DAY)
    life.check()
