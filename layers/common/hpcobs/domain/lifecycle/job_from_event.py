"""The job as a single event describes it, before it is merged with the stored one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpcobs.domain.errors import JobNotFoundError
from hpcobs.domain.jobs import Job, Precedence, SchedulerInfo, SchedulerType, scoped_id
from hpcobs.domain.states import JobState, is_suspended, waits

if TYPE_CHECKING:
    from hpcobs.domain.events import JobFinished, JobStarted, SchedulerJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The cluster of this service, and whether its jobs are simulated."""

    home_cluster: str
    scheduler_type: SchedulerType = SchedulerType.SLURM
    scheduler_instance: str | None = None
    ingest_version: str | None = None

    def job_id(self, event: JobStarted | JobFinished | SchedulerJob) -> str:
        """Return the id under which the event's job is stored."""
        return scoped_id(event.job_id, cluster=event.cluster_name, home_cluster=self.home_cluster)


def from_start(event: JobStarted, origin: Origin) -> Job:
    """Return the running job that a start describes."""
    return Job(
        id=origin.job_id(event),
        user=event.user,
        nodes=event.nodes,
        state=JobState.RUNNING,
        start_time=event.timestamp,
        name=event.name,
        cluster_name=event.cluster_name or origin.home_cluster,
        scheduler_instance=origin.scheduler_instance,
        ingest_version=origin.ingest_version,
        array_job_id=event.array_job_id,
        array_task_id=event.array_task_id,
        restart_count=event.restart_count,
        resources=event.resources,
        # A later run's statistics must not count samples of an earlier one.
        statistics_since=event.timestamp if event.restart_count else None,
        run_by=event.precedence,
        scheduler=SchedulerInfo(
            type=origin.scheduler_type,
            external_job_id=event.job_id,
            partition=event.partition,
            account=event.account,
        ),
    )


def from_finish(event: JobFinished, origin: Origin) -> Job:
    """Return the job, still running, whose end was received before its start.

    Its start time is that of the end, until the start is received. Raise JobNotFoundError if the
    event names no user or no nodes.
    """
    job_id = origin.job_id(event)
    if event.user is None or not event.nodes:
        raise JobNotFoundError(job_id)
    return Job(
        id=job_id,
        user=event.user,
        nodes=event.nodes,
        state=JobState.RUNNING,
        start_time=event.timestamp,
        start_estimated=True,
        cluster_name=event.cluster_name or origin.home_cluster,
        scheduler_instance=origin.scheduler_instance,
        ingest_version=origin.ingest_version,
        run_by=event.precedence,
        # Without the event's restart count, which may already be that of the next run.
        scheduler=SchedulerInfo(type=origin.scheduler_type, external_job_id=event.job_id),
    )


def from_scheduler(event: SchedulerJob, origin: Origin) -> Job:
    """Return the job as the controller shows it, without times that are only planned."""
    ended = event.state.is_terminal
    is_waiting = waits(event.raw_state)
    # Slurm gives a waiting job the start, and a running one the end, that it expects.
    start = None if is_waiting else event.start_time
    end = (event.end_time or event.observed_at) if ended else None
    # A job that ended without a start never ran: it starts with its end, not with its submission.
    start_time = start or end or event.submit_time or event.observed_at
    run_since = event.observed_at if is_waiting else start_time
    return Job(
        id=origin.job_id(event),
        user=event.user,
        nodes=event.nodes,
        state=event.state,
        start_time=start_time,
        end_time=end,
        name=event.name,
        cluster_name=event.cluster_name or origin.home_cluster,
        scheduler_instance=origin.scheduler_instance,
        ingest_version=origin.ingest_version,
        array_job_id=event.array_job_id,
        array_task_id=event.array_task_id,
        restart_count=event.restart_count or 0,
        resources=event.resources,
        scheduler=_scheduler_info(event, origin),
        start_estimated=ended and start is None,
        statistics_since=run_since if event.restart_count else None,
        run_by=Precedence.CONTROLLER_SYNC,
        ended_by=Precedence.CONTROLLER_SYNC if ended else None,
        scheduler_seen_at=event.observed_at,
        suspended_seconds=event.suspended_seconds,
        suspended_since=event.suspended_since if is_suspended(event.raw_state) else None,
    )


def _scheduler_info(event: SchedulerJob, origin: Origin) -> SchedulerInfo:
    return SchedulerInfo(
        type=origin.scheduler_type,
        external_job_id=event.job_id,
        raw_state=event.raw_state,
        submit_time=event.submit_time,
        partition=event.partition,
        account=event.account,
        qos=event.qos,
        priority=event.priority,
        exit_code=event.exit_code,
        signal=event.signal,
        state_reason=event.state_reason,
        time_limit_minutes=event.time_limit_minutes,
        extra=event.extra,
    )
