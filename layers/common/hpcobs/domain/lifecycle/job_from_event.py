"""The job that a single message tells of, before it is joined with what is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpcobs.domain.errors import JobNotFoundError
from hpcobs.domain.jobs import Job, Precedence, SchedulerInfo, SchedulerType, scoped_id
from hpcobs.domain.states import JobState, is_suspended

if TYPE_CHECKING:
    from hpcobs.domain.events import JobFinished, JobStarted, SchedulerJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where this service's jobs come from: its own cluster, and whether they are simulated."""

    home_cluster: str
    scheduler_type: SchedulerType = SchedulerType.SLURM
    scheduler_instance: str | None = None
    ingest_version: str | None = None

    def job_id(self, event: JobStarted | JobFinished | SchedulerJob) -> str:
        """The id under which the event's job is kept."""
        return scoped_id(event.job_id, cluster=event.cluster_name, home_cluster=self.home_cluster)


def from_start(event: JobStarted, origin: Origin) -> Job:
    """The running job that a start tells of."""
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
        statistics_since=event.timestamp if event.restart_count else None,
        scheduler=SchedulerInfo(
            type=origin.scheduler_type,
            external_job_id=event.job_id,
            partition=event.partition,
            account=event.account,
        ),
    )


def from_finish(event: JobFinished, origin: Origin) -> Job:
    """The job, still running, whose end came before its start; JobNotFoundError if too little came.

    The event must name the user and the nodes. The start is taken to be the end until it is heard.
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
        scheduler=SchedulerInfo(type=origin.scheduler_type, external_job_id=event.job_id),
    )


def from_scheduler(seen: SchedulerJob, origin: Origin) -> Job:
    """The job as the controller sees it; times that are only planned are left out."""
    ended = seen.state.is_terminal
    waits = seen.state is JobState.PENDING and not is_suspended(seen.raw_state)
    start = None if waits else seen.start_time
    end = (seen.end_time or seen.observed_at) if ended else None
    start_time = start or seen.submit_time or end or seen.observed_at
    run_since = seen.observed_at if waits else start_time
    return Job(
        id=origin.job_id(seen),
        user=seen.user,
        nodes=seen.nodes,
        state=seen.state,
        start_time=start_time,
        end_time=end,
        name=seen.name,
        cluster_name=seen.cluster_name or origin.home_cluster,
        scheduler_instance=origin.scheduler_instance,
        ingest_version=origin.ingest_version,
        array_job_id=seen.array_job_id,
        array_task_id=seen.array_task_id,
        restart_count=seen.restart_count or 0,
        resources=seen.resources,
        scheduler=_scheduler_info(seen, origin),
        statistics_since=run_since if seen.restart_count else None,
        ended_by=Precedence.CONTROLLER_SYNC if ended else None,
        scheduler_seen_at=seen.observed_at,
    )


def _scheduler_info(seen: SchedulerJob, origin: Origin) -> SchedulerInfo:
    return SchedulerInfo(
        type=origin.scheduler_type,
        external_job_id=seen.job_id,
        raw_state=seen.raw_state,
        submit_time=seen.submit_time,
        partition=seen.partition,
        account=seen.account,
        qos=seen.qos,
        priority=seen.priority,
        exit_code=seen.exit_code,
        signal=seen.signal,
        state_reason=seen.state_reason,
        time_limit_minutes=seen.time_limit_minutes,
        extra=seen.extra,
    )
