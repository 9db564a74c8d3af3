"""Requeues: a new run of the same job, and ends that may be of either run."""

from dataclasses import replace

from hpcobs.domain.jobs import Resources, Usage
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.outcome import Recompute, Status
from hpcobs.domain.lifecycle.runs import exit_status
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.states import JobState
from tests.builders import (
    at,
    finished,
    incoming_job,
    node_end,
    running_job,
    start_of,
)


def test_requeue_reopens_job_with_new_statistics() -> None:
    ended = finish(running_job(), finished(60, restart_count=1)).job
    ended = replace(ended, usage=Usage(sample_count=4, avg_cpu_usage=50.0))
    after = start_of(ended, 100, restart_count=1, nodes=("n2",))
    assert after.recompute is Recompute.RUN
    assert after.job.state is JobState.RUNNING
    assert (after.job.end_time, after.job.ended_by) == (None, None)
    assert after.job.usage == Usage()
    assert (after.job.start_time, after.job.statistics_since) == (at(100), at(100))
    assert after.job.nodes == ("n2",)


def test_requeue_is_detected_without_first_end() -> None:
    after = start_of(running_job(), 100, restart_count=1)
    assert (after.job.start_time, after.job.restart_count) == (at(100), 1)


def test_late_events_of_first_run_are_skipped() -> None:
    second_run = start_of(running_job(), 100, restart_count=1).job
    assert finish(second_run, finished(60, restart_count=1)).status is Status.SKIPPED
    assert finish(second_run, finished(160, restart_count=0)).status is Status.SKIPPED
    assert start_of(second_run, 0, restart_count=0).status is Status.SKIPPED
    assert finish(second_run, finished(160, restart_count=1)).job.state is JobState.COMPLETED


def test_second_run_stays_ended_after_late_start() -> None:
    ended = finish(running_job(), finished(200, exit_code=7, restart_count=1)).job
    after = start_of(ended, 100, restart_count=1)
    assert exit_status(after.job) == (JobState.FAILED, 7, 0)
    assert (after.job.start_time, after.job.end_time) == (at(100), at(200))


def test_ambiguous_end_is_kept_until_next_start() -> None:
    kept = finish(running_job(), finished(240, exit_code=7, node="n2", restart_count=1))
    assert (kept.status, kept.change) == (Status.SKIPPED, None)
    assert kept.unmatched is not None
    incoming = running_job(180, nodes=("n2",), restart_count=1)
    after = start(running_job(), incoming, [node_end("n1", 60), kept.unmatched])
    assert exit_status(after.job) == (JobState.FAILED, 7, 0)
    assert (after.job.start_time, after.job.end_time) == (at(180), at(240))


def test_second_run_ends_with_both_nodes() -> None:
    incoming = running_job(180, nodes=("n1", "n2"), restart_count=1)
    after = start(running_job(), incoming, [node_end("n1", 240), node_end("n9", 240)])
    assert after.job.state is JobState.RUNNING
    assert after.node_ends == (node_end("n1", 240),)
    last = finish(after.job, finished(241, node="n2", restart_count=1), after.node_ends)
    assert (last.job.state, last.job.end_time) == (JobState.COMPLETED, at(241))


def test_end_of_waiting_requeued_job_is_kept() -> None:
    waiting = incoming_job("PENDING", 65, nodes=(), submit_time=at(-60), restart_count=1)
    event = finished(240, restart_count=1, nodes=("n2",), node="n2")
    kept = finish(waiting, event)
    assert (kept.status, kept.change) == (Status.SKIPPED, None)
    assert kept.unmatched is not None
    after = start(waiting, running_job(180, nodes=("n2",), restart_count=1), [kept.unmatched])
    assert (after.job.state, after.job.nodes) == (JobState.COMPLETED, ("n2",))
    assert (after.job.start_time, after.job.statistics_since) == (at(180), at(180))


def test_new_run_replaces_names_and_placement() -> None:
    placed = Resources(
        requested_cpus=8, cpus_per_node=(4, 4), gpu_devices=("0",), cgroup_path="/job_1"
    )
    job = running_job(nodes=("n1", "n2"), resources=placed)
    incoming = {"nodes": ("n3", "n4"), "restart_count": 1, "name": "train", "array_job_id": "9"}
    after = start_of(job, 180, **incoming).job
    assert (after.name, after.array_job_id) == ("train", "9")
    assert after.resources == Resources(requested_cpus=8)


def test_statistics_of_unknown_second_run_start_there() -> None:
    assert running_job(180, restart_count=1).statistics_since == at(180)
    incoming = incoming_job("RUNNING", 200, start_time=at(180), restart_count=1)
    assert incoming.statistics_since == at(180)
    assert running_job().statistics_since is None
