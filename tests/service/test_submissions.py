"""A job id that Slurm uses again: each submission is a job of its own."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import JobNotFoundError
from hpcobs.domain.events import StartSource
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.submissions import REUSED
from hpcobs.domain.queries import JobFilter
from hpcobs.domain.states import JobState
from hpcobs.service.job_events import JobEvents
from hpcobs.service.jobs import Jobs
from tests.builders import AUDIT, ORIGIN, at, finished, scheduler_job, started

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.jobs import Job
    from hpcobs.storage.store import PostgresStore

DAYS = 86_400.0
FIRST = "1@20261102T075930Z"
"""The id of the first submission, 30 s before T0."""


@pytest.fixture
def events(store: PostgresStore) -> JobEvents:
    return JobEvents(store, ORIGIN, lambda: at(30 * DAYS))


@pytest.fixture
def jobs(store: PostgresStore) -> Jobs:
    return Jobs(store, kept_days=7, stale_after=timedelta(hours=1))


def view(state: str, begin: float, *, seen: float = 125, **fields: Any) -> SchedulerJob:
    """Make the view of a job that was submitted 30 s before its start."""
    times: dict[str, Any] = {"submit_time": at(begin - 30), "start_time": at(begin)}
    if state not in ("RUNNING", "PENDING"):
        times["end_time"] = at(begin + 120)
    given = {"restart_count": 0, **times, **fields}
    return scheduler_job(state, begin + seen, **given)


def sync(events: JobEvents, *views: SchedulerJob) -> list[str]:
    return [result.status for result in events.sync(views, [], AUDIT)]


def facts(job: Job) -> tuple[str, str, JobState]:
    return job.id, job.user, job.state


def listed(store: PostgresStore) -> list[str]:
    return [job.id for job in store.jobs.page(JobFilter(), limit=10).jobs]


@pytest.mark.parametrize("user", ["ada", "eve"])
def test_reused_id_shows_latest_job(
    events: JobEvents, jobs: Jobs, store: PostgresStore, user: str
) -> None:
    assert sync(events, view("COMPLETED", 0)) == ["created"]
    assert sync(events, view("RUNNING", 20 * DAYS, user=user)) == ["created"]
    assert facts(jobs.get("1")) == ("1", user, JobState.RUNNING)
    assert facts(jobs.get(FIRST)) == (FIRST, "ada", JobState.COMPLETED)
    assert jobs.get("1@20261122T075930Z").user == user
    assert listed(store) == ["1", FIRST]
    with pytest.raises(JobNotFoundError):
        jobs.get("1@20261102T075931Z")


def test_each_submission_keeps_its_trail(events: JobEvents, jobs: Jobs) -> None:
    sync(events, view("RUNNING", 0), view("COMPLETED", 0))
    sync(events, view("RUNNING", 20 * DAYS, user="eve"), view("FAILED", 20 * DAYS, user="eve"))
    assert [event.snapshot.user for event in jobs.audit("1")] == ["eve"] * 2
    trail = [(event.snapshot.id, event.snapshot.user) for event in jobs.audit(FIRST)]
    assert trail == [("1", "ada"), ("1", "ada"), (FIRST, "ada")]


def test_third_submission_renames_second(
    events: JobEvents, jobs: Jobs, store: PostgresStore
) -> None:
    for begin in (0, 10 * DAYS, 20 * DAYS):
        sync(events, view("COMPLETED", begin, name=f"job of {begin}"))
    assert listed(store) == ["1", "1@20261112T075930Z", FIRST]
    assert jobs.get("1@20261112T075930Z").name == f"job of {10 * DAYS}"
    assert sync(events, view("FAILED", 10 * DAYS, seen=130, exit_code=3)) == ["updated"]
    assert jobs.get("1@20261112T075930Z").state is JobState.FAILED
    assert jobs.get("1").state is JobState.COMPLETED


def test_earlier_submission_may_arrive_later(
    events: JobEvents, jobs: Jobs, store: PostgresStore
) -> None:
    sync(events, view("RUNNING", 20 * DAYS, user="eve"))
    assert sync(events, view("COMPLETED", 0)) == ["created"]
    assert sync(events, view("COMPLETED", 0)) == ["skipped"]
    assert listed(store) == ["1", FIRST]
    assert jobs.get("1").user == "eve"


def test_requeue_is_no_other_submission(events: JobEvents, store: PostgresStore) -> None:
    sync(events, view("RUNNING", 0))
    # Slurm sets the submit time anew when it requeues a job.
    sync(events, view("RUNNING", 200, restart_count=1))
    assert sync(events, view("COMPLETED", 0)) == ["skipped"]
    assert listed(store) == ["1"]


def test_history_without_restarts_is_no_other_submission(
    events: JobEvents, store: PostgresStore
) -> None:
    sync(events, view("RUNNING", 0), view("RUNNING", 200, restart_count=1))
    for begin, state in ((0, "FAILED"), (200, "COMPLETED")):
        sync(events, view(state, begin, restart_count=None))
    assert listed(store) == ["1"]
    job = store.jobs.get("1")
    assert job is not None
    assert (job.state, job.start_time) == (JobState.COMPLETED, at(200))


def test_open_job_ends_when_its_id_is_reused(events: JobEvents, jobs: Jobs) -> None:
    sync(events, view("RUNNING", 0))
    sync(events, view("RUNNING", 500, user="eve"))
    lost = jobs.get(FIRST)
    assert (lost.state, lost.ended_by) == (JobState.FAILED, Precedence.CLAIM)
    assert lost.scheduler is not None
    assert lost.scheduler.state_reason == REUSED
    # The history knows the true end.
    sync(events, view("COMPLETED", 0, restart_count=None))
    assert jobs.get(FIRST).state is JobState.COMPLETED


@pytest.mark.parametrize("user", ["ada", "eve"])
def test_hooks_alone_tell_submissions_apart(events: JobEvents, jobs: Jobs, user: str) -> None:
    events.job_started(started(), AUDIT)
    events.job_finished(finished(60), AUDIT)
    assert events.job_started(started(DAYS, user=user), AUDIT).status == "created"
    assert facts(jobs.get("1")) == ("1", user, JobState.RUNNING)
    assert facts(jobs.get("1@20261102T080000Z")) == (
        "1@20261102T080000Z",
        "ada",
        JobState.COMPLETED,
    )
    # A late end of the first one does not end the second one.
    assert events.job_finished(finished(60, user="ada"), AUDIT).status == "skipped"
    assert jobs.get("1").state is JobState.RUNNING


def test_hooks_wait_for_controllers_word(events: JobEvents, jobs: Jobs) -> None:
    sync(events, view("COMPLETED", 0))
    start = started(2000, user="eve")
    assert events.job_started(start, AUDIT).status == "skipped"
    hook = started(2000, user="eve", node=None, source=StartSource.PROLOG_SLURMCTLD, name="new")
    assert events.job_started(hook, AUDIT).status == "skipped"
    assert jobs.get("1").user == "ada"
    assert sync(events, view("RUNNING", 2000, user="eve")) == ["created"]
    assert (jobs.get("1").user, jobs.get("1").name) == ("eve", "new")


def test_late_start_is_of_same_submission(events: JobEvents, store: PostgresStore) -> None:
    sync(events, view("COMPLETED", 0))
    # The node's clock is ahead: its start lies after the job's end.
    assert events.job_started(started(150), AUDIT).status in ("updated", "skipped")
    assert listed(store) == ["1"]


def test_deleted_submissions_leave_id_usable(events: JobEvents, jobs: Jobs) -> None:
    sync(events, view("COMPLETED", 0), view("COMPLETED", 10 * DAYS))
    jobs.delete(FIRST, AUDIT)
    assert sync(events, view("COMPLETED", 10 * DAYS)) == ["skipped"]
    assert sync(events, view("RUNNING", 20 * DAYS)) == ["created"]
    assert jobs.get("1").state is JobState.RUNNING
    jobs.delete("1", AUDIT)
    with pytest.raises(JobNotFoundError):
        jobs.get("1")
    assert sync(events, view("COMPLETED", 20 * DAYS)) == ["created"]
    assert jobs.get("1").state is JobState.COMPLETED


def test_deleted_latest_submission_leaves_earlier_id(events: JobEvents, jobs: Jobs) -> None:
    sync(events, view("COMPLETED", 0), view("COMPLETED", 10 * DAYS))
    jobs.delete("1", AUDIT)
    assert sync(events, view("RUNNING", 20 * DAYS)) == ["created"]
    assert jobs.get("1").start_time == at(20 * DAYS)
    assert jobs.get(FIRST).start_time == at(0)


def test_simultaneous_views_add_one_submission(
    events: JobEvents, store: PostgresStore, make_store: Callable[[], PostgresStore]
) -> None:
    sync(events, view("COMPLETED", 0))
    results: list[str] = []

    def send() -> None:
        sender = JobEvents(make_store(), ORIGIN, lambda: at(30 * DAYS))
        results.extend(sync(sender, view("RUNNING", 20 * DAYS, user="eve")))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["created", *["skipped"] * 7]
    assert listed(store) == ["1", FIRST]
