"""Statistics stay equal to a test's books when events change jobs whose samples are dropped."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hpcobs.domain.samples import Sample
from hpcobs.service.job_events import JobEvents
from hpcobs.service.retention import RetentionLimits
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, ORIGIN, T0, scheduler_job, started
from tests.retention.books import Books
from tests.retention.rolling import write_batch
from tests.retention.runs import retain

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import SingleConnection
    from tests.stores import Query

pytestmark = pytest.mark.usefixtures("clock_at_t0")

LIMITS = RetentionLimits(samples_days=2, rollup_days=400, audit_days=400)
NODES = ("n1", "n2")
SKEW = timedelta(seconds=60)
RESET = """
TRUNCATE jobs, job_nodes, job_gpus, job_audit_events, metric_samples, gpu_samples, metric_rollups,
         gpu_rollups, unrolled_hours, unmatched_starts, unmatched_ends, waiting_samples;
UPDATE rollup_states SET rolled_before = '-infinity', sealed_before = '-infinity';
"""
SUMS = """
SELECT coalesce(sum(sample_count), 0), coalesce(sum({}), 0) FROM {}
WHERE job_id = %s AND seconds = %s AND "timestamp" < %s
"""


class Life:
    """Job 1 over several days: its events and samples, retention, and the books on it."""

    def __init__(self, connect: Callable[[], SingleConnection], query: Query) -> None:
        query("UPDATE public.test_clock SET shown = %s", T0)
        self.connect, self.query = connect, query
        self.chance = Random(1)
        self.now, self.start, self.submitted = T0, T0, T0 - timedelta(days=1)
        self.books = Books(since={0: None})
        self.job, self.user, self.restarts = 0, "user0", 0
        self.nodes: tuple[str, ...] = NODES
        self.by_controller = False
        self.prolog(T0)

    def after(self, seconds: float) -> datetime:
        """Return a time within the life of the current submission."""
        return min(max(self.submitted, T0 + timedelta(seconds=seconds)), self.now)

    def _with_events(self, send: Callable[[JobEvents], Any]) -> None:
        with closing(self.connect()) as connections:
            store = PostgresStore(connections, OperationTimings())
            send(JobEvents(store, ORIGIN, clock=lambda: self.now))

    def prolog(self, begun: datetime, *, requeued: bool = False) -> None:
        """Report a start from a node."""
        if requeued and begun <= self.start:
            return
        count = self.restarts + requeued
        event = replace(
            started(node="n1", nodes=self.nodes, user=self.user, restart_count=count),
            timestamp=begun,
        )
        self._with_events(lambda events: events.job_started(event, AUDIT))
        if self.by_controller:
            return
        if requeued:
            self.restarts, self.start = count, begun
            self.books.begin(self.job, begun, same_run=False)
        elif begun < self.start:
            self._begin_at(begun)

    def _begin_at(self, begun: datetime) -> None:
        self.start = begun
        self.books.begin(self.job, begun if self.books.since[self.job] else None)

    def view(self, begun: datetime, **fields: Any) -> None:
        """Report the job from the controller."""
        given = {"user": self.user, "nodes": self.nodes, "restart_count": self.restarts}
        event = replace(
            scheduler_job("RUNNING", 0, **{**given, **fields}),
            start_time=begun,
            observed_at=self.now,
        )
        self._with_events(lambda events: events.sync([event], [], AUDIT))

    def truer_start(self, begun: datetime) -> None:
        self.view(begun)
        self.by_controller = True
        self._begin_at(begun)

    def requeue(self, begun: datetime) -> None:
        self.restarts += 1
        self.view(begun)
        self.by_controller, self.start = True, begun
        self.books.begin(self.job, begun, same_run=False)

    def fewer_nodes(self, begun: datetime) -> None:
        """Show from the controller that a run of nodes' reports is on one node only."""
        if self.by_controller:
            return
        self.nodes = ("n1",)
        self.books.discard(self.job, self.nodes, since=self.books.since[self.job])
        self.truer_start(begun)
        self.books.count(self.job)

    def take_over(self, begun: datetime) -> None:
        """Show from the controller that the job is another user's, and on one node."""
        if self.by_controller:
            return
        self.user, self.nodes, self.restarts = f"{self.user}b", ("n2",), 0
        self.view(begun)
        self.by_controller, self.start = True, begun
        self.books.discard(self.job, self.nodes, before=begun - SKEW)
        self.books.begin(self.job, begun, same_run=False)

    def submit(self, moment: datetime) -> None:
        """Use the id again, for a job of another user."""
        if moment <= max(self.start, self.submitted) + SKEW:
            return
        self.user, self.nodes, self.restarts = f"user{self.job + 1}", NODES, 0
        self.view(moment, submit_time=moment)
        self.books.move(self.job, self.job + 1, moment)
        self.job += 1
        self.by_controller, self.start, self.submitted = True, moment, moment

    def sample(self, seconds: float) -> None:
        """Store samples of both nodes before now, as late as the site still accepts."""
        self.now += timedelta(seconds=seconds)
        oldest = max(self.submitted, self.books.sealed_before, self.now - timedelta(days=2))
        span = int((self.now - oldest).total_seconds())
        if span <= 0:
            return
        picked = sorted(self.chance.sample(range(span), min(4, span)))
        samples = [self._sample(oldest + timedelta(seconds=at), n) for at in picked for n in NODES]
        known = {(one.sample.timestamp, one.sample.node) for one in self.books.entries}
        samples = [one for one in samples if (one.timestamp, one.node) not in known]
        with closing(self.connect()) as connections:
            PostgresSampleWriter(connections, OperationTimings()).store(write_batch(samples))
        self.books.add(self.job, samples)

    def _sample(self, moment: datetime, node: str) -> Sample:
        cpu, memory = self.chance.randint(0, 100), self.chance.randint(1, 5000)
        gpu = self.chance.choice([None, self.chance.randint(0, 100)])
        return Sample("1", moment, node, cpu, memory, gpu_usage=gpu)

    def retain(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        with closing(self.connect()) as connections:
            report = retain(connections, self.now, LIMITS)
        assert report.busy == []
        assert all("rollups" in one.table for one in report.held)
        for dropped in report.dropped:
            day = datetime.combine(date.fromisoformat(dropped.split()[1]), datetime.min.time(), UTC)
            self.books.sealed_before = max(self.books.sealed_before, day + timedelta(days=1))

    def key(self, job: int) -> str:
        """Return the key of a submission: they ascend with its time."""
        keys = self.query("SELECT id FROM jobs ORDER BY submission_at NULLS FIRST, id")
        return str(keys[job][0])

    def check(self) -> None:
        for job in range(self.job + 1):
            key, expected = self.key(job), self.books.statistics(job)
            names = ", ".join(expected)
            (row,) = self.query(f"SELECT {names}, last_sample_at FROM jobs WHERE id = %s", key)
            assert dict(zip(expected, row, strict=False)) == pytest.approx(expected)
            latest = self.books.latest(job)
            assert (row[-1] is None) == (latest is None)
            assert latest is None or abs(row[-1] - latest) < timedelta(minutes=5)
            self._check_rollups(job, key)

    def _check_rollups(self, job: int, key: str) -> None:
        sealed, expected = self.books.sealed_before, self.books.sealed_sums(job)
        for seconds in (300, 3600):
            of_nodes = SUMS.format("cpu_usage_sum", "metric_rollups")
            of_gpus = SUMS.format("utilization_percent_sum", "gpu_rollups")
            (found,) = self.query(of_nodes, key, seconds, sealed)
            (found_gpus,) = self.query(of_gpus, key, seconds, sealed)
            assert (*found, *found_gpus) == pytest.approx(expected)


ACTS = ("prolog", "truer_start", "requeue", "fewer_nodes", "take_over", "submit")
SECONDS = st.integers(-6 * 3600, 12 * 86_400)
ON_BORDERS = SECONDS.map(lambda seconds: seconds // 300 * 300)
PAUSES = st.integers(0, 3 * 86_400)


def steps(times: st.SearchStrategy[int]) -> st.SearchStrategy[list[tuple[str, int]]]:
    acts = st.tuples(st.sampled_from(ACTS), times)
    pauses = st.tuples(st.sampled_from(["sample", "sample", "retain"]), PAUSES)
    again = st.tuples(st.just("requeue_by_prolog"), times)
    return st.lists(acts | pauses | again, min_size=4, max_size=14)


def live(life: Life, happened: list[tuple[str, int]]) -> None:
    for act, seconds in [("sample", 7200), *happened, ("sample", 60), ("retain", 4 * 86_400)]:
        if act in ("sample", "retain"):
            getattr(life, act)(seconds)
        elif act == "requeue_by_prolog":
            life.prolog(life.after(seconds), requeued=True)
        else:
            getattr(life, act)(life.after(seconds))
        life.check()


OLD = [("sample", 86_400), ("retain", 3 * 86_400)]
slow = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@slow
@example([("requeue_by_prolog", 3600), *OLD, ("sample", 60), ("prolog", 3300)])
@example([("requeue", 3600), *OLD, ("sample", 60), ("truer_start", 7200), ("truer_start", 300)])
@example([*OLD, ("sample", 60), ("fewer_nodes", 0)])
@example([*OLD, ("sample", 60), ("take_over", 7200)])
@example([*OLD, ("sample", 60), ("submit", 7200), ("requeue", 90_000), ("truer_start", 36_000)])
@given(steps(ON_BORDERS))
def test_statistics_are_exact_on_interval_borders(
    connect: Callable[[], SingleConnection], query: Query, happened: list[tuple[str, int]]
) -> None:
    query(RESET)
    life = Life(connect, query)
    live(life, happened)
    for job, since in life.books.since.items():
        counted = {id(one) for one in life.books.of(job) if one.counts}
        begun = since or datetime.min.replace(tzinfo=UTC)
        assert counted == {id(one) for one in life.books.of(job) if one.sample.timestamp >= begun}


@slow
@example([("requeue", 3601), *OLD, ("sample", 60), ("truer_start", 3602), ("truer_start", 3000)])
@example([*OLD, ("sample", 60), ("submit", 7201), ("requeue", 90_001)])
@given(steps(SECONDS))
def test_other_boundaries_follow_rule_of_intervals(
    connect: Callable[[], SingleConnection], query: Query, happened: list[tuple[str, int]]
) -> None:
    query(RESET)
    live(Life(connect, query), happened)
