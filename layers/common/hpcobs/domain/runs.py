"""A job's run: how it begins, begins again after a requeue, and ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpcobs.domain.events import RunEnd
from hpcobs.domain.jobs import Usage
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.jobs import Job, SchedulerInfo


def begun_again(
    job: Job,
    *,
    since: datetime,
    restart_count: int,
    nodes: tuple[str, ...],
    state: JobState = JobState.RUNNING,
) -> Job:
    """The job at the start of its next run: no end, statistics anew from ``since``.

    Where exactly it ran before is forgotten too: the same nodes may give it other CPUs and GPUs.
    """
    return replace(
        job,
        state=state,
        start_time=since,
        end_time=None,
        restart_count=restart_count,
        nodes=nodes,
        start_estimated=False,
        ended_by=None,
        usage=Usage(),
        resources=replace(job.resources, cpus_per_node=(), gpu_devices=(), cgroup_path=None),
        statistics_since=since,
        scheduler=without_verdict(job.scheduler),
    )


def is_wrongly_claimed(job: Job, heard: Job) -> bool:
    """Whether ``heard`` shows that a client told wrongly of the job: anybody can guess an id.

    Until the cluster tells of a job, it is no more than a claim, and may be another's.
    """
    only_claimed = job.start_estimated and job.scheduler_seen_at is None
    return only_claimed and (heard.user != job.user or heard.restart_count < job.restart_count)


def taken_over(job: Job, heard: Job) -> Job:
    """The job as its start tells it, in place of what a client had said of it under that id."""
    return replace(heard, usage=job.usage, statistics_since=heard.start_time)


def ended(job: Job, end: RunEnd) -> Job:
    """The job at its end. One that never was seen running has its start estimated to be there."""
    never_ran = job.waits
    return replace(
        job,
        state=end.state,
        start_time=end.ended_at if never_ran else job.start_time,
        start_estimated=job.start_estimated or never_ran,
        end_time=max(end.ended_at, job.start_time),
        ended_by=end.by,
        scheduler=_with_exit(without_verdict(job.scheduler), end),
    )


def corrected(job: Job, end: RunEnd) -> Job:
    """Return the ended job as a source of higher precedence reports it. Its end time stays."""
    scheduler = job.scheduler
    if end.state is not job.state:
        scheduler = without_verdict(scheduler)
    return replace(job, state=end.state, ended_by=end.by, scheduler=_with_exit(scheduler, end))


def own_end(job: Job) -> RunEnd | None:
    """The end that the job has, if it has ended."""
    if job.end_time is None or job.ended_by is None:
        return None
    state, exit_code, signal = verdict(job)
    return RunEnd(
        ended_at=job.end_time, state=state, by=job.ended_by, exit_code=exit_code, signal=signal
    )


def verdict(job: Job) -> tuple[JobState, int | None, int | None]:
    """State, exit code and signal: what a correction may change."""
    if job.scheduler is None:
        return (job.state, None, None)
    return (job.state, job.scheduler.exit_code, job.scheduler.signal)


def without_verdict(scheduler: SchedulerInfo | None) -> SchedulerInfo | None:
    """The scheduler's facts without its word on a state that is over."""
    if scheduler is None:
        return None
    return replace(scheduler, raw_state=None, exit_code=None, signal=None, state_reason=None)


def _with_exit(scheduler: SchedulerInfo | None, end: RunEnd) -> SchedulerInfo | None:
    if scheduler is None:
        return None
    return replace(
        scheduler,
        exit_code=scheduler.exit_code if end.exit_code is None else end.exit_code,
        signal=scheduler.signal if end.signal is None else end.signal,
    )


_SEVERITY = (JobState.COMPLETED, JobState.CANCELLED, JobState.FAILED)


def end_on_all(ends: Sequence[RunEnd]) -> RunEnd:
    """The end of a job whose nodes ended so: at the last, and as the worst one (failed first)."""
    worst = max(
        ends, key=lambda end: (_SEVERITY.index(end.state), end.exit_code or 0, end.node or "")
    )
    return replace(worst, node=None, ended_at=max(end.ended_at for end in ends))
