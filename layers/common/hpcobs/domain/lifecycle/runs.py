"""Steps that several transitions share: begin and end a run, merge fields."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, TypeVar

from hpcobs.domain.events import RunEnd
from hpcobs.domain.jobs import Resources, SchedulerInfo, Usage
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.jobs import Job

Facts = TypeVar("Facts", Resources, SchedulerInfo)

_MISSING = (None, ())
_SEVERITY = (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED)


def begin_next_run(
    job: Job,
    *,
    since: datetime,
    restart_count: int,
    nodes: tuple[str, ...],
    state: JobState = JobState.RUNNING,
) -> Job:
    """Return the job at the start of its next run: no end, and new statistics from ``since``."""
    return replace(
        job,
        state=state,
        start_time=since,
        end_time=None,
        restart_count=restart_count,
        nodes=nodes,
        start_estimated=False,
        ended_by=None,
        suspended_seconds=0.0,
        suspended_since=None,
        usage=Usage(),
        # Even the same nodes may give the next run other CPUs and GPUs.
        resources=replace(job.resources, cpus_per_node=(), gpu_devices=(), cgroup_path=None),
        statistics_since=since,
        # Slurm gives a requeued job a new submit time, which only the controller reports.
        scheduler=_of_unknown_submission(without_exit_status(job.scheduler)),
    )


def _of_unknown_submission(scheduler: SchedulerInfo | None) -> SchedulerInfo | None:
    return None if scheduler is None else replace(scheduler, submit_time=None)


def apply_unmatched_ends(
    begun: Job, before: Job, unmatched: Sequence[RunEnd]
) -> tuple[Job, tuple[RunEnd, ...]]:
    """End a run that begins, if its end was received before its start.

    ``before`` is the job as it was stored, ``unmatched`` are all its unmatched ends. Return the job
    and the ends of its nodes.
    """
    # Both runs' ends may carry the same restart count: only those after the start are of this run.
    ends = [end for end in unmatched if end.ended_at >= begun.start_time]
    node_ends = tuple(end for end in ends if end.node in begun.nodes)
    job_ends = [end for end in ends if end.node is None]
    known = stored_end(before)
    if not ends and known is not None and known.ended_at > begun.start_time:
        # Its source does not report restart counts, so it was stored as the earlier run's end.
        job_ends = [known]
    if job_ends:
        return end_run(begun, max(job_ends, key=lambda end: (end.by, end.ended_at))), node_ends
    if node_ends and len(node_ends) == begun.node_count:
        return end_run(begun, combine_node_ends(node_ends)), node_ends
    return begun, node_ends


def stored_end(job: Job) -> RunEnd | None:
    """Return the end of the job as a whole, or None if it has not ended."""
    if job.end_time is None or job.ended_by is None:
        return None
    state, exit_code, signal = exit_status(job)
    return RunEnd(
        ended_at=job.end_time, state=state, by=job.ended_by, exit_code=exit_code, signal=signal
    )


def end_run(job: Job, end: RunEnd) -> Job:
    """Return the job at its end. If its start was never reported, it is estimated as the end."""
    never_ran = job.waits
    start_time = end.ended_at if never_ran else job.start_time
    # The clocks of two nodes differ: an end must not lie before the start.
    end_time = max(end.ended_at, start_time)
    return replace(
        job,
        state=end.state,
        start_time=start_time,
        start_estimated=job.start_estimated or never_ran,
        end_time=end_time,
        ended_by=end.by,
        suspended_seconds=_suspended_until(job, end_time),
        suspended_since=None,
        scheduler=with_exit_codes(without_exit_status(job.scheduler), end),
    )


def _suspended_until(job: Job, end_time: datetime) -> float:
    if job.suspended_since is None:
        return job.suspended_seconds
    return job.suspended_seconds + max(0.0, (end_time - job.suspended_since).total_seconds())


def combine_node_ends(ends: Sequence[RunEnd]) -> RunEnd:
    """Return the end of a job whose nodes ended so: the last time, the worst state (failed)."""
    # The exit code and the node's name make the choice independent of the order of arrival.
    worst = max(
        ends, key=lambda end: (_SEVERITY.index(end.state), end.exit_code or 0, end.node or "")
    )
    return replace(worst, node=None, ended_at=max(end.ended_at for end in ends))


def exit_status(job: Job) -> tuple[JobState, int | None, int | None]:
    """Return state, exit code and signal: the values that a correction may change."""
    if job.scheduler is None:
        return (job.state, None, None)
    return (job.state, job.scheduler.exit_code, job.scheduler.signal)


def without_exit_status(scheduler: SchedulerInfo | None) -> SchedulerInfo | None:
    """Return the scheduler's facts without those that describe the previous state."""
    if scheduler is None:
        return None
    return replace(scheduler, raw_state=None, exit_code=None, signal=None, state_reason=None)


def with_exit_codes(scheduler: SchedulerInfo | None, end: RunEnd) -> SchedulerInfo | None:
    """Return the scheduler's facts with the exit code and signal of an end, where it has them."""
    if scheduler is None:
        return None
    return replace(
        scheduler,
        exit_code=scheduler.exit_code if end.exit_code is None else end.exit_code,
        signal=scheduler.signal if end.signal is None else end.signal,
    )


def fill_missing(known: Facts, other: Facts) -> Facts:
    """Return ``known`` with its missing values (None or empty) taken from ``other``."""
    missing = {
        field.name: getattr(other, field.name)
        for field in fields(known)
        if getattr(known, field.name) in _MISSING
    }
    return replace(known, **missing)


def fill_missing_scheduler(
    known: SchedulerInfo | None, other: SchedulerInfo | None
) -> SchedulerInfo | None:
    """Fill missing values as ``fill_missing`` does, where either side may be None."""
    if known is None or other is None:
        return known or other
    return fill_missing(known, other)
