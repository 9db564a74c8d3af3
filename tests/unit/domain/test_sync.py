"""The controller's view of a job, the source of highest precedence."""

from dataclasses import replace
from datetime import datetime

import pytest

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.jobs import Precedence, Resources, Usage
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.outcome import Recompute, Status
from hpcobs.domain.lifecycle.runs import exit_status
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.lifecycle.sync import sync
from hpcobs.domain.states import JobState
from tests.builders import at, finished, incoming_job, running_job, start_of

ENDED_STATES = (
    *("COMPLETED", "FAILED", "BOOT_FAIL", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "TIMEOUT"),
    *("CANCELLED", "PREEMPTED"),
)


def test_cancelled_job_is_corrected_from_completed() -> None:
    ended = finish(running_job(), finished(60)).job
    shown = incoming_job(
        "CANCELLED by 1000", 65, start_time=at(0), end_time=at(59), exit_code=0, signal=15
    )
    after = sync(ended, shown)
    assert after.change is ChangeType.CORRECTION
    assert exit_status(after.job) == (JobState.CANCELLED, 0, 15)
    assert (after.job.end_time, after.job.ended_by) == (at(59), Precedence.CONTROLLER_SYNC)
    assert after.job.scheduler is not None
    assert after.job.scheduler.raw_state == "CANCELLED by 1000"


def test_repeated_view_is_skipped() -> None:
    running = incoming_job("RUNNING", 10, start_time=at(0))
    assert sync(running, incoming_job("RUNNING", 40, start_time=at(0))).status is Status.SKIPPED
    ended = incoming_job("FAILED", 70, start_time=at(0), end_time=at(60), exit_code=1)
    again = incoming_job("FAILED", 100, start_time=at(0), end_time=at(60), exit_code=1)
    assert sync(ended, again).status is Status.SKIPPED


def test_unchanged_view_stores_its_time_periodically() -> None:
    job = incoming_job("RUNNING", 60, start_time=at(0))
    soon = sync(job, incoming_job("RUNNING", 60 + 299, start_time=at(0)))
    later = sync(job, incoming_job("RUNNING", 60 + 300, start_time=at(0)))
    assert (soon.job, soon.change) == (job, None)
    assert (later.job.scheduler_seen_at, later.change) == (at(360), None)


def test_controllers_end_is_final() -> None:
    ended = incoming_job("TIMEOUT", 70, start_time=at(0), end_time=at(60), exit_code=0, signal=15)
    assert finish(ended, finished(60)).status is Status.SKIPPED
    assert sync(ended, incoming_job("RUNNING", 80, start_time=at(0))).status is Status.SKIPPED


def test_later_view_revises_controllers_end() -> None:
    too_soon = incoming_job(
        "CANCELLED", 70, start_time=at(0), end_time=at(60), exit_code=0, signal=0
    )
    incoming = incoming_job(
        "CANCELLED", 71, start_time=at(0), end_time=at(60), exit_code=9, signal=0
    )
    after = sync(too_soon, incoming)
    assert after.change is ChangeType.CORRECTION
    assert exit_status(after.job) == (JobState.CANCELLED, 9, 0)
    assert sync(after.job, too_soon).status is Status.SKIPPED
    silent = incoming_job("CANCELLED", 99, start_time=at(0), end_time=at(60))
    assert sync(after.job, silent).status is Status.SKIPPED


@pytest.mark.parametrize("code", [None, 0, 9])
@pytest.mark.parametrize("settled_at", [69, 70, 71, 170])
@pytest.mark.parametrize("flags", ["COMPLETING", "STAGE_OUT", "COMPLETING+STOPPED"])
@pytest.mark.parametrize("state", ENDED_STATES)
def test_settled_end_replaces_completing_one(
    state: str, flags: str, settled_at: float, code: int | None
) -> None:
    end = {"start_time": at(0), "end_time": at(60), "signal": 0}
    completing = incoming_job(f"{state}+{flags}", 70, exit_code=0, **end)
    settled = incoming_job(state, settled_at, exit_code=code, **end)

    after = sync(completing, settled)

    assert after.job.scheduler is not None
    assert after.job.scheduler.raw_state == state
    assert exit_status(after.job) == (completing.state, code or 0, 0)
    assert after.change is (ChangeType.CORRECTION if code else ChangeType.UPDATE)
    assert after.job.scheduler_seen_at == at(max(70, settled_at))
    assert sync(after.job, completing).status is Status.SKIPPED
    assert sync(after.job, settled).status is Status.SKIPPED


def test_completing_view_does_not_revise_settled_end() -> None:
    end = {"start_time": at(0), "end_time": at(60), "signal": 0}
    settled = incoming_job("CANCELLED", 70, exit_code=9, **end)
    completing = incoming_job("CANCELLED+COMPLETING", 71, exit_code=0, **end)
    assert sync(settled, completing).status is Status.SKIPPED


def test_completing_view_does_not_reopen_job() -> None:
    ended = finish(running_job(), finished(60)).job
    after = sync(ended, incoming_job("COMPLETING", 61, start_time=at(0))).job
    assert (after.state, after.end_time) == (JobState.COMPLETED, at(60))
    # It confirms the run, but not the end.
    assert (after.run_by, after.ended_by) == (Precedence.CONTROLLER_SYNC, Precedence.NODE)


def test_view_before_start_is_skipped() -> None:
    job = running_job(0)
    assert sync(job, incoming_job("PENDING", -1, submit_time=at(-60))).status is Status.SKIPPED


def test_latest_view_wins_in_any_order() -> None:
    suspended = sync(running_job(), incoming_job("SUSPENDED", 50, start_time=at(0))).job
    assert suspended.state is JobState.PENDING
    assert sync(suspended, incoming_job("RUNNING", 40, start_time=at(0))).status is Status.SKIPPED
    assert (
        sync(suspended, incoming_job("RUNNING", 60, start_time=at(0))).job.state is JobState.RUNNING
    )


def test_view_keeps_facts_from_nodes() -> None:
    job = running_job(resources=Resources(cgroup_path="/job_1", allocated_gpus=1))
    job = replace(job, usage=Usage(sample_count=3, cpu_usage=50.0))
    incoming = incoming_job(
        "RUNNING",
        30,
        start_time=at(-1),
        name="train",
        qos="high",
        priority=2**40,
        resources=Resources(allocated_gpus=4, requested_cpus=8),
    )
    after = sync(job, incoming).job
    assert after.resources == Resources(cgroup_path="/job_1", allocated_gpus=4, requested_cpus=8)
    assert after.usage == job.usage
    assert (after.start_time, after.name) == (at(-1), "train")
    assert after.scheduler is not None
    assert after.scheduler.priority == 2**40


def test_requeued_job_waits_then_runs_again() -> None:
    ended = finish(running_job(), finished(60, restart_count=1)).job
    waiting = sync(
        ended, incoming_job("PENDING", 65, nodes=(), submit_time=at(-60), restart_count=1)
    )
    assert (waiting.job.state, waiting.recompute) == (JobState.PENDING, Recompute.RUN)
    assert waiting.job.end_time is None
    late = finish(waiting.job, finished(64, restart_count=1))
    assert late.status is Status.SKIPPED
    again = start(waiting.job, running_job(180, nodes=("n2",), restart_count=1)).job
    assert (again.state, again.start_time, again.nodes) == (JobState.RUNNING, at(180), ("n2",))


def test_view_adds_a_missed_run() -> None:
    incoming = incoming_job("COMPLETED", 400, start_time=at(200), end_time=at(300), restart_count=1)
    after = sync(running_job(), incoming).job
    assert (after.state, after.start_time, after.end_time) == (
        JobState.COMPLETED,
        at(200),
        at(300),
    )
    assert after.statistics_since == at(200)


def test_view_without_restarts_is_of_current_run() -> None:
    second_run = start(running_job(), running_job(100, restart_count=1)).job
    incoming = incoming_job("COMPLETED", 400, start_time=at(100), end_time=at(300))
    after = sync(second_run, incoming, restart_known=False).job
    assert (after.state, after.restart_count) == (JobState.COMPLETED, 1)


def test_cancelled_pending_job_never_ran() -> None:
    pending = incoming_job("PENDING", 10, nodes=(), submit_time=at(0))
    shown = incoming_job(
        "CANCELLED", 40, nodes=(), submit_time=at(0), start_time=at(30), end_time=at(30)
    )
    after = sync(pending, shown).job
    assert (after.state, after.nodes, after.runtime_seconds(at(99))) == (
        JobState.CANCELLED,
        (),
        0.0,
    )


def test_view_of_new_run_applies_kept_end() -> None:
    ended = finish(running_job(), finished(60, restart_count=1)).job
    kept = finish(ended, finished(240, exit_code=3, restart_count=1)).unmatched
    assert kept is not None
    incoming = incoming_job("RUNNING", 200, start_time=at(180), restart_count=1)
    after = sync(ended, incoming, [kept]).job
    assert exit_status(after) == (JobState.FAILED, 3, 0)
    assert (after.start_time, after.end_time) == (at(180), at(240))


def test_view_replaces_claim_of_other_user() -> None:
    claim = replace(running_job(-10, user="eve", restart_count=9), start_estimated=True)
    after = sync(claim, incoming_job("RUNNING", 30, start_time=at(0), restart_count=0)).job
    assert (after.user, after.restart_count) == ("ada", 0)
    assert after.statistics_since == at(0)


def test_suspension_does_not_count_as_runtime() -> None:
    view = {"start_time": at(0), "submit_time": at(-60)}
    suspended = incoming_job("SUSPENDED", 100, suspended_since=at(40), **view)
    assert suspended.is_suspended
    assert suspended.runtime_seconds(at(100)) == 40
    resumed = incoming_job("RUNNING", 130, suspended_seconds=80, **view)
    after = sync(suspended, resumed).job
    assert (after.is_suspended, after.runtime_seconds(at(130))) == (False, 50)
    ended = finish(after, finished(150)).job
    assert ended.runtime_seconds(at(999)) == 70
    # Slurm may not show the suspensions of an ended job any more.
    confirmed = sync(ended, incoming_job("COMPLETED", 160, end_time=at(150), **view)).job
    assert confirmed.runtime_seconds(at(999)) == 70


def test_end_of_suspended_job_ends_its_suspension() -> None:
    suspended = incoming_job("SUSPENDED", 100, start_time=at(0), suspended_since=at(40))
    ended = finish(suspended, finished(160)).job
    assert (ended.suspended_since, ended.runtime_seconds(at(999))) == (None, 40)


def test_next_run_has_no_suspension() -> None:
    suspended = incoming_job("SUSPENDED", 100, start_time=at(0), suspended_since=at(40))
    after = sync(suspended, incoming_job("RUNNING", 320, start_time=at(300), restart_count=1)).job
    assert after.runtime_seconds(at(330)) == 30


@pytest.mark.parametrize("start", [None, at(163)])
def test_job_cancelled_while_waiting_never_ran(start: datetime | None) -> None:
    times = {"submit_time": at(0), "start_time": start, "end_time": at(163)}
    cancelled = incoming_job("CANCELLED by 1000", 170, nodes=(), **times)
    assert cancelled.runtime_seconds(at(999)) == 0
    pending = incoming_job("PENDING", 10, nodes=(), submit_time=at(0))
    after = sync(pending, cancelled).job
    assert (after.state, after.runtime_seconds(at(999))) == (JobState.CANCELLED, 0)


def test_view_without_start_keeps_known_one() -> None:
    ran = start_of(incoming_job("PENDING", -10, nodes=(), submit_time=at(-60)), 0).job
    after = sync(ran, incoming_job("CANCELLED", 70, submit_time=at(-60), end_time=at(60))).job
    assert (after.start_time, after.runtime_seconds(at(999))) == (at(0), 60)


@pytest.mark.parametrize(
    ("by", "seconds", "confirmed"),
    [
        (Precedence.NODE, 61, False),
        (Precedence.CONTROLLER_HOOK, 61, False),
        (Precedence.NODE, 60 + 601, True),
        (Precedence.API, 61, True),
        (Precedence.CONTROLLER_SYNC, 61, True),
    ],
)
def test_end_of_hooks_is_provisional(by: Precedence, seconds: float, *, confirmed: bool) -> None:
    ended = replace(finish(running_job(), finished(60)).job, ended_by=by)
    assert ended.is_end_confirmed(at(seconds)) is confirmed


def test_open_job_has_no_end_to_confirm() -> None:
    assert running_job().is_end_confirmed(at(0)) is None
