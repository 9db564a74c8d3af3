"""What starts and ends do to a job: the transitions that hooks cause."""

from dataclasses import replace

import pytest

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import InvalidStateError, JobNotFoundError, JobTerminalError
from hpcobs.domain.events import RunEnd
from hpcobs.domain.jobs import Job, Precedence, Resources, Usage
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.job_from_event import from_finish, from_start
from hpcobs.domain.lifecycle.outcome import Outcome, Status
from hpcobs.domain.lifecycle.patch import patch_state
from hpcobs.domain.lifecycle.runs import exit_status
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.states import JobState
from tests.builders import (
    ORIGIN,
    at,
    controller_finished,
    finished,
    running_job,
    started,
    view,
)


def start_of(job: Job, seconds: float, **fields: object) -> Outcome:
    return start(job, from_start(started(seconds, **fields), ORIGIN))


def node_end(node: str, seconds: float) -> RunEnd:
    ended_at, state = at(seconds), JobState.COMPLETED
    return RunEnd(node=node, ended_at=ended_at, state=state, by=Precedence.NODE_EPILOG)


def test_a_start_makes_a_running_job() -> None:
    job = running_job(5, partition="main", restart_count=0)
    assert (job.state, job.start_time, job.nodes) == (JobState.RUNNING, at(5), ("n1",))
    assert job.cluster_name == "lab"
    assert job.scheduler is not None
    assert job.scheduler.external_job_id == "1"


def test_a_job_of_another_cluster_carries_its_cluster_in_its_id() -> None:
    assert running_job(cluster_name="other").id == "other.1"
    assert running_job(cluster_name="lab").id == "1"


def test_the_same_start_twice_changes_nothing() -> None:
    assert start_of(running_job(), 0).status is Status.SKIPPED


def test_a_second_start_adds_what_the_first_did_not_know() -> None:
    job = running_job(resources=Resources(allocated_gpus=2))
    after = start_of(job, 1, name="train", account="physics", resources=Resources(allocated_cpus=8))
    assert after.status is Status.UPDATED
    assert after.job.name == "train"
    assert after.job.resources == Resources(allocated_gpus=2, allocated_cpus=8)
    assert after.job.start_time == at(0)


def test_the_earliest_start_counts_whatever_the_order() -> None:
    assert start_of(running_job(2), 0).job.start_time == at(0)


def test_a_start_makes_a_pending_job_run() -> None:
    pending = view("PENDING", -10, nodes=(), submit_time=at(-60))
    after = start_of(pending, 0).job
    assert (after.state, after.start_time, after.nodes) == (JobState.RUNNING, at(0), ("n1",))
    assert after.scheduler is not None
    assert after.scheduler.raw_state is None


def test_a_finish_ends_the_job_with_exit_code_and_signal() -> None:
    after = finish(running_job(), finished(60, exit_code=3)).job
    assert exit_status(after) == (JobState.FAILED, 3, 0)
    assert (after.end_time, after.ended_by) == (at(60), Precedence.NODE_EPILOG)


def test_a_finish_that_is_no_end_is_refused() -> None:
    with pytest.raises(InvalidStateError):
        finish(running_job(), finished(60, "running"))


def test_the_same_finish_twice_changes_nothing() -> None:
    ended = finish(running_job(), finished()).job
    assert finish(ended, finished()).status is Status.SKIPPED


def test_the_controllers_epilog_corrects_a_nodes_epilog_and_is_audited_as_a_correction() -> None:
    ended = finish(running_job(), finished()).job
    after = finish(ended, controller_finished(61, exit_code=5))
    assert after.change is ChangeType.CORRECTION
    assert exit_status(after.job) == (JobState.FAILED, 5, 0)
    assert after.job.end_time == at(60)


def test_a_confirmation_by_the_controller_is_no_correction_but_settles_who_is_believed() -> None:
    ended = finish(running_job(), finished()).job
    after = finish(ended, controller_finished(61))
    assert after.change is ChangeType.UPDATE
    assert after.job.ended_by is Precedence.CONTROLLER_EPILOG


def test_a_nodes_epilog_never_changes_what_the_controller_said() -> None:
    ended = finish(running_job(), controller_finished(60, exit_code=5)).job
    assert finish(ended, finished(61, "cancelled")).status is Status.SKIPPED


def test_a_job_of_two_nodes_ends_with_its_last_node() -> None:
    job = running_job(nodes=("n1", "n2"))
    first = finish(job, finished(60, exit_code=5, node="n2"))
    assert (first.change, first.job.state) == (None, JobState.RUNNING)
    last = finish(job, finished(62, exit_code=0, node="n1"), first.node_ends)
    assert exit_status(last.job) == (JobState.FAILED, 5, 0)
    assert last.job.end_time == at(62)


def test_a_node_that_ends_twice_counts_once() -> None:
    job = running_job(nodes=("n1", "n2"))
    ends = [node_end("n1", 50)]
    assert finish(job, finished(60), ends).status is Status.SKIPPED


def test_a_node_that_is_not_the_jobs_does_not_end_it() -> None:
    job = running_job(nodes=("n1", "n2"))
    ends = [node_end("n1", 50)]
    assert finish(job, finished(60, node="n9"), ends).job.state is JobState.RUNNING


def test_another_node_cannot_end_a_job_of_one_node() -> None:
    assert finish(running_job(), finished(60, node="n9")).status is Status.SKIPPED
    assert finish(running_job(), finished(60, node=None)).job.state is JobState.COMPLETED


def test_a_job_of_two_nodes_ends_at_once_when_the_controller_says_so() -> None:
    job = running_job(nodes=("n1", "n2"))
    assert finish(job, controller_finished()).job.state is JobState.COMPLETED


def test_a_requeue_opens_the_job_again_with_statistics_anew() -> None:
    ended = finish(running_job(), finished(60, restart_count=1)).job
    ended = replace(ended, usage=Usage(sample_count=4, avg_cpu_usage=50.0))
    after = start_of(ended, 100, restart_count=1, nodes=("n2",))
    assert after.recompute
    assert after.job.state is JobState.RUNNING
    assert (after.job.end_time, after.job.ended_by) == (None, None)
    assert after.job.usage == Usage()
    assert (after.job.start_time, after.job.statistics_since) == (at(100), at(100))
    assert after.job.nodes == ("n2",)


def test_a_requeue_is_seen_even_when_the_first_end_was_lost() -> None:
    after = start_of(running_job(), 100, restart_count=1)
    assert (after.job.start_time, after.job.restart_count) == (at(100), 1)


def test_what_the_first_run_still_sends_after_a_requeue_is_skipped() -> None:
    second_run = start_of(running_job(), 100, restart_count=1).job
    assert finish(second_run, finished(60, restart_count=1)).status is Status.SKIPPED
    assert finish(second_run, finished(160, restart_count=0)).status is Status.SKIPPED
    assert start_of(second_run, 0, restart_count=0).status is Status.SKIPPED
    assert finish(second_run, finished(160, restart_count=1)).job.state is JobState.COMPLETED


def test_a_second_run_whose_end_came_before_its_start_stays_ended() -> None:
    ended = finish(running_job(), finished(200, exit_code=7, restart_count=1)).job
    after = start_of(ended, 100, restart_count=1)
    assert exit_status(after.job) == (JobState.FAILED, 7, 0)
    assert (after.job.start_time, after.job.end_time) == (at(100), at(200))


def test_an_end_that_may_be_a_second_runs_is_kept_until_its_start_tells() -> None:
    kept = finish(running_job(), finished(240, exit_code=7, node="n2", restart_count=1))
    assert (kept.status, kept.change) == (Status.SKIPPED, None)
    assert kept.unmatched is not None
    heard = running_job(180, nodes=("n2",), restart_count=1)
    after = start(running_job(), heard, [node_end("n1", 60), kept.unmatched])
    assert exit_status(after.job) == (JobState.FAILED, 7, 0)
    assert (after.job.start_time, after.job.end_time) == (at(180), at(240))


def test_a_second_run_of_two_nodes_ends_only_when_both_have() -> None:
    heard = running_job(180, nodes=("n1", "n2"), restart_count=1)
    after = start(running_job(), heard, [node_end("n1", 240), node_end("n9", 240)])
    assert after.job.state is JobState.RUNNING
    assert after.node_ends == (node_end("n1", 240),)
    last = finish(after.job, finished(241, node="n2", restart_count=1), after.node_ends)
    assert (last.job.state, last.job.end_time) == (JobState.COMPLETED, at(241))


def test_an_end_of_a_requeued_job_that_waits_ends_nothing_and_is_kept() -> None:
    waiting = view("PENDING", 65, nodes=(), submit_time=at(-60), restart_count=1)
    event = finished(240, restart_count=1, nodes=("n2",), node="n2")
    kept = finish(waiting, event)
    assert (kept.status, kept.change) == (Status.SKIPPED, None)
    assert kept.unmatched is not None
    after = start(waiting, running_job(180, nodes=("n2",), restart_count=1), [kept.unmatched])
    assert (after.job.state, after.job.nodes) == (JobState.COMPLETED, ("n2",))
    assert (after.job.start_time, after.job.statistics_since) == (at(180), at(180))


def test_a_new_run_has_the_names_that_its_start_tells_and_not_the_places_of_the_old_one() -> None:
    placed = Resources(
        requested_cpus=8, cpus_per_node=(4, 4), gpu_devices=("0",), cgroup_path="/job_1"
    )
    job = running_job(nodes=("n1", "n2"), resources=placed)
    heard = {"nodes": ("n3", "n4"), "restart_count": 1, "name": "train", "array_job_id": "9"}
    after = start_of(job, 180, **heard).job
    assert (after.name, after.array_job_id) == ("train", "9")
    assert after.resources == Resources(requested_cpus=8)


def test_statistics_of_a_job_first_heard_of_in_its_second_run_begin_with_that_run() -> None:
    assert running_job(180, restart_count=1).statistics_since == at(180)
    told = view("RUNNING", 200, start_time=at(180), restart_count=1)
    assert told.statistics_since == at(180)
    assert running_job().statistics_since is None


def test_an_end_tells_the_nodes_of_a_job_that_waited_so_that_all_of_them_count() -> None:
    pending = view("PENDING", -10, nodes=(), submit_time=at(-60))
    first = finish(pending, finished(60, node="n1", nodes=("n1", "n2")))
    assert first.job.state is JobState.PENDING
    event = finished(61, exit_code=5, node="n2", nodes=("n1", "n2"))
    last = finish(pending, event, first.node_ends)
    assert exit_status(last.job) == (JobState.FAILED, 5, 0)


def test_a_suspended_job_is_not_begun_again_by_a_start_that_comes_twice() -> None:
    suspended = view("SUSPENDED", 50, start_time=at(0), submit_time=at(-60))
    assert start_of(suspended, 1).status is Status.SKIPPED
    after = finish(suspended, finished(60)).job
    assert (after.state, after.start_time) == (JobState.COMPLETED, at(0))
    assert not after.start_estimated


def claimed(**fields: object) -> Job:
    """A job as a client tells of it, before the cluster does."""
    return replace(running_job(-10), start_estimated=True, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("claim", [{"user": "eve"}, {"user": "eve", "restart_count": 9}])
def test_what_a_client_claims_of_another_users_job_gives_way_to_its_start(
    claim: dict[str, object],
) -> None:
    for heard in (running_job(0), running_job(0, restart_count=1)):
        after = start(claimed(**claim), heard).job
        assert (after.user, after.restart_count) == ("ada", heard.restart_count)
        assert after.statistics_since == at(0)


def test_a_client_cannot_shut_the_cluster_out_by_the_number_of_restarts() -> None:
    after = start(claimed(restart_count=2**31 - 1), running_job(0)).job
    assert (after.restart_count, after.start_time) == (0, at(0))


def test_a_finish_before_its_start_is_kept_and_joined() -> None:
    event = finished(60, exit_code=3, user="ada", nodes=("n1",))
    ended = finish(from_finish(event, ORIGIN), event).job
    after = start_of(ended, 0, name="train").job
    assert (after.start_time, after.end_time, after.name) == (at(0), at(60), "train")
    assert exit_status(after) == (JobState.FAILED, 3, 0)
    assert not after.start_estimated


def test_a_finish_of_an_unknown_job_must_tell_whose_and_where_it_was() -> None:
    with pytest.raises(JobNotFoundError):
        from_finish(finished(60, user="ada"), ORIGIN)
    with pytest.raises(JobNotFoundError):
        from_finish(finished(60, nodes=("n1",)), ORIGIN)


def test_a_pending_job_that_ends_unseen_has_its_start_estimated() -> None:
    pending = view("PENDING", -10, nodes=("n1",), submit_time=at(-60))
    after = finish(pending, finished(60)).job
    assert (after.start_time, after.start_estimated) == (at(60), True)


def test_an_ended_job_cannot_be_patched() -> None:
    ended = finish(running_job(), finished()).job
    with pytest.raises(JobTerminalError):
        patch_state(ended, state=JobState.RUNNING, now=at(70))
    with pytest.raises(JobTerminalError):
        patch_state(ended, state=None, now=at(70))


def test_a_patch_can_end_a_job_and_the_controller_can_correct_it() -> None:
    ended = patch_state(running_job(), state=JobState.CANCELLED, now=at(70))
    assert (ended.state, ended.end_time) == (JobState.CANCELLED, at(70))
    assert finish(ended, finished(75)).status is Status.SKIPPED
    assert finish(ended, controller_finished(75)).change is ChangeType.CORRECTION


def test_a_patch_begins_a_job_that_waited_and_its_start_is_still_to_be_heard() -> None:
    pending = view("PENDING", -10, nodes=("n1",), submit_time=at(-60))
    running = patch_state(pending, state=JobState.RUNNING, now=at(20))
    assert (running.start_time, running.start_estimated) == (at(20), True)
    suspended = view("SUSPENDED", 50, start_time=at(0), submit_time=at(-60))
    assert patch_state(suspended, state=JobState.RUNNING, now=at(70)).start_time == at(0)
    assert start_of(running, 15).job.start_time == at(15)
