"""A simulated job, its hooks' events, and the controller's view of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hpcobs.domain.events import (
    FinishSource,
    JobFinished,
    JobStarted,
    SchedulerJob,
    StartSource,
)
from hpcobs.domain.jobs import Resources
from hpcobs.domain.states import CANCELLING_SIGNALS, JobState, from_slurm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_local.simulator.cluster.allocation import Placement
    from hpcobs_local.simulator.cluster.workloads import Ending, Recipe

HOOK_DELAY = timedelta(milliseconds=120)
"""Time from one hook of a job to its next."""

HIGHEST_PRIORITY = 2**32 - 65_536
"""First value of Slurm's priorities by order of submission."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MockJob:
    """A job in the controller's memory. ``duration`` is that of a run without a requeue."""

    id: int
    recipe: Recipe
    user: str
    cluster: str
    submitted: datetime
    duration: timedelta
    time_limit_minutes: int
    array_job_id: int | None = None
    array_task_id: int | None = None
    requeues_left: int = 0
    raw_state: str = "PENDING"
    reason: str | None = "Priority"
    eligible: datetime
    restarts: int = 0
    placed: tuple[Placement, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    ending: Ending | None = None

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of the job's current or last run."""
        return tuple(placement.node for placement in self.placed)

    @property
    def cpus(self) -> int:
        """The number of CPUs on all nodes."""
        return self.recipe.cpus * self.recipe.nodes

    @property
    def partition(self) -> str:
        """The partition that the job was submitted to."""
        return "gpu" if self.recipe.gpus else "main"


def start_events(job: MockJob) -> Iterator[JobStarted]:
    """Yield the event of PrologSlurmctld, then that of each node's Prolog."""
    began = job.started or job.submitted
    # As in Slurm, a node's Prolog knows neither the job's name nor its account nor its array.
    yield _start_event(
        job,
        at=began,
        source=StartSource.PROLOG_SLURMCTLD,
        resources=Resources(allocated_cpus=job.cpus),
        account=job.recipe.account,
        name=job.recipe.name,
        array_job_id=_text(job.array_job_id),
        array_task_id=_text(job.array_task_id),
    )
    for number, placement in enumerate(job.placed, start=1):
        yield _start_event(
            job,
            at=began + number * HOOK_DELAY,
            source=StartSource.PROLOG,
            node=placement.node,
            resources=_on_node(job, placement),
        )


def _start_event(job: MockJob, *, at: datetime, **known: Any) -> JobStarted:
    return JobStarted(
        job_id=str(job.id),
        user=job.user,
        nodes=job.nodes,
        timestamp=at,
        partition=job.partition,
        cluster_name=job.cluster,
        restart_count=job.restarts,
        **known,
    )


def _on_node(job: MockJob, placement: Placement) -> Resources:
    if not placement.devices:
        return Resources(allocated_cpus=job.cpus)
    return Resources(
        allocated_cpus=job.cpus,
        allocated_gpus=len(placement.devices),
        gpu_vendor=job.recipe.gpu_vendor,
        gpu_devices=placement.devices,
    )


def finish_events(
    job: MockJob, ending: Ending, at: datetime, *, restarts: int
) -> Iterator[JobFinished]:
    """Yield the event of EpilogSlurmctld, then that of each node's Epilog."""
    exit_code, signal = ending.epilog_exit
    senders = [None, *job.nodes]
    for number, node in enumerate(senders):
        yield JobFinished(
            job_id=str(job.id),
            user=job.user,
            nodes=job.nodes,
            node=node,
            final_state=_final_state(exit_code, signal),
            timestamp=at + number * HOOK_DELAY,
            exit_code=exit_code,
            signal=signal,
            cluster_name=job.cluster,
            restart_count=restarts,
            source=FinishSource.EPILOG if node else FinishSource.EPILOG_SLURMCTLD,
        )


def _final_state(exit_code: int, signal: int) -> JobState:
    if signal in CANCELLING_SIGNALS:
        return JobState.CANCELLED
    return JobState.FAILED if exit_code or signal else JobState.COMPLETED


def controller_view(job: MockJob, now: datetime) -> SchedulerJob:
    """Return the job as the controller reports it at ``now``."""
    ending = job.ending
    return SchedulerJob(
        job_id=str(job.id),
        user=job.user,
        state=from_slurm(job.raw_state),
        raw_state=job.raw_state,
        observed_at=now,
        nodes=job.nodes,
        submit_time=job.submitted,
        start_time=job.started,
        end_time=job.ended,
        name=job.recipe.name,
        partition=job.partition,
        account=job.recipe.account,
        qos="normal",
        priority=HIGHEST_PRIORITY - job.id,
        exit_code=ending.exit_code if ending else None,
        signal=ending.signal if ending else None,
        state_reason=job.reason,
        time_limit_minutes=job.time_limit_minutes,
        cluster_name=job.cluster,
        array_job_id=_text(job.array_job_id),
        array_task_id=_text(job.array_task_id),
        restart_count=job.restarts,
        resources=_total_resources(job),
    )


def _total_resources(job: MockJob) -> Resources:
    recipe, has_run = job.recipe, job.started is not None
    memory_mb, gpus = recipe.memory_mb * recipe.nodes, recipe.gpus * recipe.nodes
    return Resources(
        requested_cpus=job.cpus,
        requested_memory_mb=memory_mb,
        requested_gpus=gpus,
        allocated_cpus=job.cpus if has_run else None,
        allocated_memory_mb=memory_mb if has_run else None,
        allocated_gpus=gpus if has_run else None,
    )


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
