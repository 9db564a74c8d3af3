"""Starts: a new job, a merge into the stored job, a wrong claim."""

from dataclasses import replace

import pytest

from hpcobs.domain.jobs import Job, Precedence, Resources
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.outcome import Status
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.states import JobState
from tests.builders import (
    at,
    finished,
    incoming_job,
    running_job,
    start_of,
)


def test_start_creates_running_job() -> None:
    job = running_job(5, partition="main", restart_count=0)
    assert (job.state, job.start_time, job.nodes) == (JobState.RUNNING, at(5), ("n1",))
    assert job.cluster_name == "lab"
    assert job.scheduler is not None
    assert job.scheduler.external_job_id == "1"


def test_other_clusters_job_has_prefixed_id() -> None:
    assert running_job(cluster_name="other").id == "other.1"
    assert running_job(cluster_name="lab").id == "1"


def test_repeated_start_is_skipped() -> None:
    assert start_of(running_job(), 0).status is Status.SKIPPED


def test_second_start_fills_missing_fields() -> None:
    job = running_job(resources=Resources(allocated_gpus=2))
    after = start_of(job, 1, name="train", account="physics", resources=Resources(allocated_cpus=8))
    assert after.status is Status.UPDATED
    assert after.job.name == "train"
    assert after.job.resources == Resources(allocated_gpus=2, allocated_cpus=8)
    assert after.job.start_time == at(0)


def test_earliest_start_wins_in_any_order() -> None:
    assert start_of(running_job(2), 0).job.start_time == at(0)


def test_start_makes_pending_job_run() -> None:
    pending = incoming_job("PENDING", -10, nodes=(), submit_time=at(-60))
    after = start_of(pending, 0).job
    assert (after.state, after.start_time, after.nodes) == (JobState.RUNNING, at(0), ("n1",))
    assert after.scheduler is not None
    assert after.scheduler.raw_state is None


def test_repeated_start_does_not_restart_suspended_job() -> None:
    suspended = incoming_job("SUSPENDED", 50, start_time=at(0), submit_time=at(-60))
    assert start_of(suspended, 1).status is Status.SKIPPED
    after = finish(suspended, finished(60)).job
    assert (after.state, after.start_time) == (JobState.COMPLETED, at(0))
    assert not after.start_estimated


def claimed(**fields: object) -> Job:
    """Return a job that only a client has reported."""
    job = replace(running_job(-10), start_estimated=True, run_by=Precedence.CLAIM)
    return replace(job, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("claim", [{"user": "eve"}, {"user": "eve", "restart_count": 9}])
def test_start_replaces_claim_of_other_user(
    claim: dict[str, object],
) -> None:
    for incoming in (running_job(0), running_job(0, restart_count=1)):
        after = start(claimed(**claim), incoming).job
        assert (after.user, after.restart_count) == ("ada", incoming.restart_count)
        assert after.statistics_since == at(0)


def test_claimed_restart_count_does_not_block_start() -> None:
    after = start(claimed(restart_count=2**31 - 1), running_job(0)).job
    assert (after.restart_count, after.start_time) == (0, at(0))
