"""Ends: of a job, of one of its nodes, and their corrections."""

import pytest

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import InvalidStateError, JobNotFoundError
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.job_from_event import from_finish
from hpcobs.domain.lifecycle.outcome import Status
from hpcobs.domain.lifecycle.runs import exit_status
from hpcobs.domain.states import JobState
from tests.builders import (
    ORIGIN,
    at,
    controller_finished,
    finished,
    incoming_job,
    node_end,
    running_job,
    start_of,
)


def test_finish_sets_exit_code_and_signal() -> None:
    after = finish(running_job(), finished(60, exit_code=3)).job
    assert exit_status(after) == (JobState.FAILED, 3, 0)
    assert (after.end_time, after.ended_by) == (at(60), Precedence.NODE)


def test_finish_with_open_state_is_rejected() -> None:
    with pytest.raises(InvalidStateError):
        finish(running_job(), finished(60, "running"))


def test_repeated_finish_is_skipped() -> None:
    ended = finish(running_job(), finished()).job
    assert finish(ended, finished()).status is Status.SKIPPED


def test_controller_epilog_corrects_node_epilog() -> None:
    ended = finish(running_job(), finished()).job
    after = finish(ended, controller_finished(61, exit_code=5))
    assert after.change is ChangeType.CORRECTION
    assert exit_status(after.job) == (JobState.FAILED, 5, 0)
    assert after.job.end_time == at(60)


def test_controller_confirmation_raises_precedence_without_correction() -> None:
    ended = finish(running_job(), finished()).job
    after = finish(ended, controller_finished(61))
    assert after.change is ChangeType.UPDATE
    assert after.job.ended_by is Precedence.CONTROLLER_HOOK


def test_node_epilog_never_changes_controllers_end() -> None:
    ended = finish(running_job(), controller_finished(60, exit_code=5)).job
    assert finish(ended, finished(61, "cancelled")).status is Status.SKIPPED


def test_job_ends_with_its_last_node() -> None:
    job = running_job(nodes=("n1", "n2"))
    first = finish(job, finished(60, exit_code=5, node="n2"))
    assert (first.change, first.job.state) == (None, JobState.RUNNING)
    last = finish(job, finished(62, exit_code=0, node="n1"), first.node_ends)
    assert exit_status(last.job) == (JobState.FAILED, 5, 0)
    assert last.job.end_time == at(62)


def test_node_that_ends_twice_counts_once() -> None:
    job = running_job(nodes=("n1", "n2"))
    ends = [node_end("n1", 50)]
    assert finish(job, finished(60), ends).status is Status.SKIPPED


def test_foreign_node_does_not_end_job() -> None:
    job = running_job(nodes=("n1", "n2"))
    ends = [node_end("n1", 50)]
    assert finish(job, finished(60, node="n9"), ends).job.state is JobState.RUNNING


def test_foreign_node_cannot_end_single_node_job() -> None:
    assert finish(running_job(), finished(60, node="n9")).status is Status.SKIPPED
    assert finish(running_job(), finished(60, node=None)).job.state is JobState.COMPLETED


def test_controller_ends_all_nodes_at_once() -> None:
    job = running_job(nodes=("n1", "n2"))
    assert finish(job, controller_finished()).job.state is JobState.COMPLETED


def test_end_brings_nodes_of_waiting_job() -> None:
    pending = incoming_job("PENDING", -10, nodes=(), submit_time=at(-60))
    first = finish(pending, finished(60, node="n1", nodes=("n1", "n2")))
    assert first.job.state is JobState.PENDING
    event = finished(61, exit_code=5, node="n2", nodes=("n1", "n2"))
    last = finish(pending, event, first.node_ends)
    assert exit_status(last.job) == (JobState.FAILED, 5, 0)


def test_finish_before_start_is_kept() -> None:
    event = finished(60, exit_code=3, user="ada", nodes=("n1",))
    ended = finish(from_finish(event, ORIGIN), event).job
    after = start_of(ended, 0, name="train").job
    assert (after.start_time, after.end_time, after.name) == (at(0), at(60), "train")
    assert exit_status(after) == (JobState.FAILED, 3, 0)
    assert not after.start_estimated


def test_finish_of_unknown_job_needs_user_and_nodes() -> None:
    with pytest.raises(JobNotFoundError):
        from_finish(finished(60, user="ada"), ORIGIN)
    with pytest.raises(JobNotFoundError):
        from_finish(finished(60, nodes=("n1",)), ORIGIN)


def test_start_of_unseen_run_is_estimated() -> None:
    pending = incoming_job("PENDING", -10, nodes=("n1",), submit_time=at(-60))
    after = finish(pending, finished(60)).job
    assert (after.start_time, after.start_estimated) == (at(60), True)
