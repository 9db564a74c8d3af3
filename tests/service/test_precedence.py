"""What the controller shows of a job is what the job is, whatever weaker sources report."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.domain.errors import DomainError
from hpcobs.domain.events import JobFinished, JobStarted, StartSource
from hpcobs.domain.jobs import Job, Precedence
from hpcobs.domain.samples import Sample
from hpcobs.domain.states import JobState
from hpcobs.service.job_events import JobEvents
from hpcobs.service.jobs import JobPatch, Jobs
from tests.builders import (
    AUDIT,
    ORIGIN,
    at,
    controller_finished,
    finished,
    running_job,
    scheduler_job,
    started,
)

if TYPE_CHECKING:
    from hpcobs.domain.events import SchedulerJob
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query

HIGHEST = 2**31 - 1
EXBIBYTE_MB = 2**40
NOW = at(3000)


class Senders:
    """The service's ways in, at one moment."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.events = JobEvents(store, ORIGIN, lambda: NOW)
        self.jobs = Jobs(store, kept_days=7, stale_after=at(600) - at(0), clock=lambda: NOW)

    def send(self, message: JobStarted | JobFinished | SchedulerJob) -> str:
        if isinstance(message, JobStarted):
            return self.events.job_started(message, AUDIT).status
        if isinstance(message, JobFinished):
            return self.events.job_finished(message, AUDIT).status
        return self.events.sync([message], [], AUDIT)[0].status

    def the_job(self) -> Job:
        job = self.store.jobs.get("1")
        assert job is not None
        return job


@pytest.fixture
def senders(store: PostgresStore) -> Senders:
    return Senders(store)


def claim(user: str = "eve", **fields: Any) -> Job:
    """Make a job that a client adds."""
    job = running_job(-60, user=user, nodes=("n1",))
    return replace(job, start_estimated=True, run_by=Precedence.CLAIM, **fields)


def sample(seconds: float, node: str, memory_usage_mb: int) -> Sample:
    return Sample(
        job_id="1",
        timestamp=at(seconds),
        cpu_usage=50.0,
        memory_usage_mb=memory_usage_mb,
        node=node,
    )


def true_end(restart_count: int = 0) -> SchedulerJob:
    return scheduler_job(
        "COMPLETED",
        125,
        start_time=at(0),
        end_time=at(120),
        submit_time=at(-30),
        exit_code=0,
        signal=0,
        restart_count=restart_count,
    )


@pytest.mark.parametrize("user", ["eve", "ada"])
def test_claimed_restart_count_blocks_nobody(senders: Senders, user: str) -> None:
    fake = {"user": user, "node": "n9", "nodes": ("n9",), "restart_count": HIGHEST}
    senders.send(started(-20, **fake))
    senders.send(started(0.4))
    senders.send(started(0, node=None, source=StartSource.PROLOG_SLURMCTLD, name="train"))
    job = senders.the_job()
    assert (job.user, job.restart_count, job.nodes) == ("ada", 0, ("n1",))
    assert senders.send(finished(120)) == "updated"
    assert senders.the_job().is_end_confirmed(at(130)) is False
    assert senders.send(true_end()) == "updated"
    job = senders.the_job()
    assert (job.state, job.name, job.start_time) == (JobState.COMPLETED, "train", at(0))
    assert job.is_end_confirmed(at(130)) is True


@pytest.mark.parametrize("seconds", [60, 1e5])
def test_node_cannot_restart_what_controller_knows(senders: Senders, seconds: float) -> None:
    running = scheduler_job("RUNNING", 20, start_time=at(0), submit_time=at(-30), restart_count=0)
    senders.send(running)
    fake = started(seconds, node="n9", nodes=("n9",), restart_count=HIGHEST)
    assert senders.send(fake) == "skipped"
    assert senders.the_job().nodes == ("n1",)
    senders.send(true_end())
    assert senders.send(fake) == "skipped"
    assert senders.the_job().state is JobState.COMPLETED


def test_start_far_ahead_counts_as_now(senders: Senders) -> None:
    senders.send(started(1e9))
    assert senders.the_job().start_time == NOW


def test_cluster_removes_samples_of_claim(
    senders: Senders, query: Query, store: PostgresStore
) -> None:
    store.jobs.add(claim(), AUDIT)
    senders.jobs.add_sample(sample(3500, "n1", EXBIBYTE_MB))
    assert senders.the_job().usage.max_memory_usage_mb == EXBIBYTE_MB
    senders.send(started(0))
    job = senders.the_job()
    assert (job.user, job.usage.sample_count) == ("ada", 0)
    assert job.usage.max_memory_usage_mb is None
    assert query("SELECT count(*) FROM metric_samples") == [(0,)]
    changes = [event.change_type for event in store.audit.of_job("1")]
    assert changes == ["upsert", "correction"]


def test_controller_removes_samples_of_foreign_nodes(senders: Senders, query: Query) -> None:
    senders.send(started(0, nodes=("n1", "n9"), node="n9"))
    for node, memory in (("n1", 10), ("n9", EXBIBYTE_MB)):
        senders.jobs.add_sample(sample(30, node, memory))
    senders.send(scheduler_job("RUNNING", 60, start_time=at(0), submit_time=at(-30)))
    job = senders.the_job()
    assert (job.nodes, job.usage.max_memory_usage_mb) == (("n1",), 10)
    assert query("SELECT node FROM metric_samples") == [("n1",)]
    # The roll-up deletes the job's part of the hour, and sums it up again.
    notes = query("SELECT DISTINCT removed_job_id FROM unrolled_hours ORDER BY 1")
    assert notes == [("1",), (None,)]


def test_held_start_adds_facts_to_confirmed_run(senders: Senders) -> None:
    view = {"start_time": at(0), "submit_time": at(-30)}
    senders.send(scheduler_job("RUNNING", 20, restart_count=0, **view))
    incoming = started(200, restart_count=1)
    resources = replace(incoming.resources, gpu_devices=("GPU-1",), cgroup_path="/slurm/job_1")
    assert senders.send(replace(incoming, resources=resources)) == "skipped"
    view = {"start_time": at(200), "submit_time": at(100)}
    senders.send(scheduler_job("RUNNING", 220, restart_count=1, **view))
    job = senders.the_job()
    assert (job.restart_count, job.resources.gpu_devices) == (1, ("GPU-1",))
    assert job.resources.cgroup_path == "/slurm/job_1"


def test_controller_reopens_job_that_epilog_ended(senders: Senders) -> None:
    senders.send(scheduler_job("RUNNING", 20, start_time=at(0), restart_count=1))
    # An epilog of the run before, from a node whose clock is ahead.
    assert senders.send(finished(90, restart_count=1)) == "updated"
    assert senders.the_job().state is JobState.COMPLETED
    assert (
        senders.send(scheduler_job("RUNNING", 100, start_time=at(0), restart_count=1)) == "updated"
    )
    job = senders.the_job()
    assert (job.state, job.end_time, job.start_time) == (JobState.RUNNING, None, at(0))
    assert senders.send(finished(150, restart_count=1)) == "updated"


def test_presumed_end_is_taken_back(senders: Senders, query: Query) -> None:
    nodes = {"nodes": ("n1", "n2")}
    senders.send(scheduler_job("RUNNING", 20, start_time=at(0), **nodes))
    senders.send(controller_finished(100, "failed", user="ada", **nodes))
    assert senders.the_job().state is JobState.FAILED
    completing = scheduler_job("COMPLETING", 110, start_time=at(0), **nodes)
    assert senders.send(completing) == "skipped"
    assert senders.send(scheduler_job("RUNNING", 130, start_time=at(0), **nodes)) == "updated"
    assert senders.the_job().state is JobState.RUNNING
    assert query("SELECT count(*) FROM job_nodes WHERE ended_at IS NOT NULL") == [(0,)]


NODES = st.lists(st.sampled_from(["n1", "n2", "n8", "n9"]), min_size=1, max_size=3, unique=True)
RESTARTS = st.sampled_from([0, 1, 2, 7, HIGHEST])
MOMENTS = st.sampled_from([-5000, -20, 0, 30, 60, 119, 121, 200, 2999, 1e9])
USERS = st.sampled_from(["ada", "ada", "eve"])


@st.composite
def weak_starts(draw: st.DrawFn) -> JobStarted:
    nodes = tuple(draw(NODES))
    source = draw(st.sampled_from(StartSource))
    node = nodes[0] if source is StartSource.PROLOG else None
    fields = {"user": draw(USERS), "nodes": nodes, "node": node, "source": source}
    return started(draw(MOMENTS), restart_count=draw(RESTARTS), **fields)


@st.composite
def weak_ends(draw: st.DrawFn) -> JobFinished:
    nodes = tuple(draw(NODES))
    fields: dict[str, Any] = {"user": draw(USERS), "nodes": nodes}
    fields |= {"exit_code": draw(st.sampled_from([0, 9])), "restart_count": draw(RESTARTS)}
    moment, state = draw(MOMENTS), draw(st.sampled_from(["completed", "cancelled"]))
    if draw(st.booleans()):
        return finished(moment, state, node=nodes[0], **fields)
    return controller_finished(moment, state, **fields)


PATCHES = st.builds(
    JobPatch,
    state=st.sampled_from(JobState),
    memory_usage_mb=st.sampled_from([None, EXBIBYTE_MB]),
)
CLAIMS = st.builds(claim, USERS, restart_count=RESTARTS)
WEAK = st.one_of(weak_starts(), weak_ends(), PATCHES, CLAIMS)
TRUE = [
    scheduler_job("PENDING", -25, nodes=(), submit_time=at(-30), restart_count=0),
    scheduler_job("RUNNING", 20, start_time=at(0), submit_time=at(-30), restart_count=0),
    true_end(),
]


def act(senders: Senders, message: Any) -> None:
    with suppress(DomainError):
        if isinstance(message, Job):
            senders.store.jobs.add(message, AUDIT)
        elif isinstance(message, JobPatch):
            senders.jobs.patch("1", message, AUDIT)
        else:
            senders.send(message)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(weak=st.lists(WEAK, max_size=6), data=st.data())
def test_controllers_word_stands_in_any_order(
    senders: Senders, database_url: str, weak: list[Any], data: st.DataObject
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE jobs, job_nodes, job_audit_events, unmatched_ends, unmatched_starts"
        )
    for message in data.draw(st.permutations([*weak, *TRUE])):
        act(senders, message)
    # A weak source may have claimed the id before, or for a later job that nobody confirmed.
    found = [job for job in _all(senders) if _is_true_job(job)]
    assert len(found) == 1
    job = found[0]
    assert (job.state, job.nodes, job.restart_count) == (JobState.COMPLETED, ("n1",), 0)
    assert (job.start_time, job.end_time) == (at(0), at(120))
    assert job.ended_by is Precedence.CONTROLLER_SYNC


def _all(senders: Senders) -> tuple[Job, ...]:
    from hpcobs.domain.queries import JobFilter

    return senders.store.jobs.page(JobFilter(), limit=100).jobs


def _is_true_job(job: Job) -> bool:
    return job.scheduler is not None and job.scheduler.submit_time == at(-30)
