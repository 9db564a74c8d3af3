"""A client's patches of a job's state."""

import pytest

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import JobTerminalError
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.outcome import Status
from hpcobs.domain.lifecycle.patch import patch_state
from hpcobs.domain.states import JobState
from tests.builders import (
    at,
    controller_finished,
    finished,
    incoming_job,
    running_job,
    start_of,
)


def test_ended_job_cannot_be_patched() -> None:
    ended = finish(running_job(), finished()).job
    with pytest.raises(JobTerminalError):
        patch_state(ended, state=JobState.RUNNING, now=at(70))
    with pytest.raises(JobTerminalError):
        patch_state(ended, state=None, now=at(70))


def test_controller_corrects_end_set_by_patch() -> None:
    ended = patch_state(running_job(), state=JobState.CANCELLED, now=at(70))
    assert (ended.state, ended.end_time) == (JobState.CANCELLED, at(70))
    assert finish(ended, finished(75)).status is Status.SKIPPED
    assert finish(ended, controller_finished(75)).change is ChangeType.CORRECTION


def test_start_corrects_patch_to_running() -> None:
    pending = incoming_job("PENDING", -10, nodes=("n1",), submit_time=at(-60))
    running = patch_state(pending, state=JobState.RUNNING, now=at(20))
    assert (running.start_time, running.start_estimated) == (at(20), True)
    suspended = incoming_job("SUSPENDED", 50, start_time=at(0), submit_time=at(-60))
    assert patch_state(suspended, state=JobState.RUNNING, now=at(70)).start_time == at(0)
    assert start_of(running, 15).job.start_time == at(15)
