"""The messages of one history lead to the same job, in any order and with repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.domain.events import JobFinished, JobStarted, StartSource
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.runs import exit_status
from hpcobs.domain.states import JobState
from hpcobs.service.job_events import JobEvents
from tests.builders import AUDIT, ORIGIN, at, controller_finished, finished, scheduler_job, started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.jobs import Job
    from hpcobs.storage.store import PostgresStore

    Message = JobStarted | JobFinished | SchedulerJob

RUN_SECONDS = 60
BETWEEN_RUNS = 200
CLOCKS_DIFFER = 0.4
"""Seconds between two hooks' timestamps of the same moment."""


@dataclass(frozen=True)
class History:
    """The true history of a job: the nodes of each run, and how the last one exited."""

    runs: list[tuple[str, ...]]
    exit_code: int
    cancelled: bool
    controllers_hooks: bool
    views: bool
    final_view: bool

    @property
    def last(self) -> int:
        return len(self.runs) - 1

    def start(self, run: int) -> float:
        return run * BETWEEN_RUNS

    def end(self, run: int) -> float:
        return self.start(run) + RUN_SECONDS

    def messages(self) -> Iterator[Message]:
        """Yield all messages of this history, as Slurm's hooks and controller send them."""
        if self.views:
            yield scheduler_job("PENDING", -30, nodes=(), submit_time=at(-40), restart_count=0)
        for run, nodes in enumerate(self.runs):
            yield from self._starts(run, nodes)
            if self.views:
                yield self._view("RUNNING", run, self.start(run) + 20)
            yield from self._ends(run, nodes)
            if self.views and run < self.last:
                waiting = {"nodes": (), "submit_time": at(-40), "restart_count": run + 1}
                yield scheduler_job("PENDING", self.end(run) + 10, **waiting)
        if self.final_view:
            yield self._completing_view()
            yield self._final_view()

    def _starts(self, run: int, nodes: tuple[str, ...]) -> Iterator[Message]:
        given = {"nodes": nodes, "restart_count": run}
        if self.controllers_hooks:
            source = StartSource.PROLOG_SLURMCTLD
            yield started(self.start(run), node=None, source=source, name="train", **given)
        for number, node in enumerate(nodes, 1):
            yield started(self.start(run) + number * CLOCKS_DIFFER, node=node, **given)

    def _ends(self, run: int, nodes: tuple[str, ...]) -> Iterator[Message]:
        # The epilogs of a run that is requeued see success, and the next run's restart count.
        exit_code = self.exit_code if run == self.last else 0
        restarts = run if run == self.last else run + 1
        given: Any = {"user": "ada", "nodes": nodes, "restart_count": restarts}
        given |= {"exit_code": exit_code}
        for number, node in enumerate(nodes):
            yield finished(self.end(run) + number * CLOCKS_DIFFER, node=node, **given)
        if self.controllers_hooks:
            yield controller_finished(self.end(run) + CLOCKS_DIFFER, **given)

    def _view(self, state: str, run: int, observed: float, **fields: object) -> Message:
        given = {"nodes": self.runs[run], "start_time": at(self.start(run)), "restart_count": run}
        return scheduler_job(state, observed, submit_time=at(-40), **given, **fields)

    def _completing_view(self) -> Message:
        # A cancelled job that still handles its signal has no exit code of its own yet.
        end = self._end | ({"exit_code": 0} if self.cancelled else {})
        return self._view(f"{self.raw_state}+COMPLETING", self.last, self.end(self.last) + 3, **end)

    def _final_view(self) -> Message:
        return self._view(self.raw_state, self.last, self.end(self.last) + 5, **self._end)

    @property
    def _end(self) -> dict[str, object]:
        signal = 15 if self.cancelled else 0
        return {
            "end_time": at(self.end(self.last)),
            "exit_code": self.exit_code,
            "signal": signal,
        }

    @property
    def raw_state(self) -> str:
        return "CANCELLED" if self.cancelled else "FAILED" if self.exit_code else "COMPLETED"

    @property
    def exit_status(self) -> tuple[JobState, int, int]:
        """The exit status from the source of highest precedence in this history."""
        if self.final_view and self.cancelled:
            return (JobState.CANCELLED, self.exit_code, 15)
        return (JobState.FAILED if self.exit_code else JobState.COMPLETED, self.exit_code, 0)

    @property
    def precedence(self) -> Precedence:
        if self.final_view:
            return Precedence.CONTROLLER_SYNC
        return Precedence.CONTROLLER_HOOK if self.controllers_hooks else Precedence.NODE


PLACES = st.sampled_from([("n1",), ("n2",), ("n1", "n2"), ("n2", "n3")])
HISTORIES = st.builds(
    History,
    runs=st.lists(PLACES, min_size=1, max_size=3),
    exit_code=st.sampled_from([0, 5]),
    cancelled=st.booleans(),
    controllers_hooks=st.booleans(),
    views=st.booleans(),
    final_view=st.booleans(),
)


def send(events: JobEvents, message: Message) -> None:
    if isinstance(message, JobStarted):
        events.job_started(message, AUDIT)
    elif isinstance(message, JobFinished):
        events.job_finished(message, AUDIT)
    else:
        events.sync([message], [], AUDIT)


def agrees_with(history: History, job: Job) -> bool:
    started_for = (job.start_time - at(history.start(history.last))).total_seconds()
    ended_for = ((job.end_time or at(0)) - at(history.end(history.last))).total_seconds()
    assert exit_status(job) == history.exit_status
    assert (job.nodes, job.restart_count) == (history.runs[-1], history.last)
    assert job.ended_by is history.precedence
    assert job.scheduler is not None
    assert not history.final_view or job.scheduler.raw_state == history.raw_state
    assert not job.start_estimated
    assert job.name == ("train" if history.controllers_hooks else None)
    return 0 <= started_for < 1 and 0 <= ended_for < 1


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data(), history=HISTORIES)
def test_any_order_of_events_gives_same_job(
    store: PostgresStore, database_url: str, data: st.DataObject, history: History
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE jobs, job_nodes, job_audit_events, unmatched_ends, unmatched_starts"
        )
    messages = list(history.messages())
    repeated = data.draw(st.lists(st.sampled_from(messages), max_size=4))
    events = JobEvents(store, ORIGIN)
    for message in data.draw(st.permutations([*messages, *repeated])):
        send(events, message)
    job = store.jobs.get("1")
    assert job is not None
    assert agrees_with(history, job)
