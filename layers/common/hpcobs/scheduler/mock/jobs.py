"""A simulated job, and what hooks and controller tell of it."""

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

    from hpcobs.scheduler.mock.allocation import Placement
    from hpcobs.scheduler.mock.workloads import Ending, Recipe

HOOK_DELAY = timedelta(milliseconds=120)
"""From one hook of a job to its next."""

HIGHEST_PRIORITY = 2**32 - 65_536
"""Where Slurm's priorities by order of submission begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MockJob:
    """A job in the controller's memory; ``life`` is how long a run takes if nothing cuts it."""

    id: int
    recipe: Recipe
    user: str
    cluster: str
    submitted: datetime
    life: timedelta
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
        """Where the job runs, or ran."""
        return tuple(placement.node for placement in self.placed)

    @property
    def cpus(self) -> int:
        """CPUs on all nodes together."""
        return self.recipe.cpus * self.recipe.nodes

    @property
    def partition(self) -> str:
        """Where it was submitted to."""
        return "gpu" if self.recipe.gpus else "main"


def starts(job: MockJob) -> Iterator[JobStarted]:
    """What PrologSlurmctld and each node's Prolog tell; only the former knows name and account."""
    began = job.started or job.submitted
    yield _start(
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
        yield _start(
            job,
            at=began + number * HOOK_DELAY,
            source=StartSource.PROLOG,
            node=placement.node,
            resources=_on_node(job, placement),
        )


def _start(job: MockJob, *, at: datetime, **told: Any) -> JobStarted:
    return JobStarted(
        job_id=str(job.id),
        user=job.user,
        nodes=job.nodes,
        timestamp=at,
        partition=job.partition,
        cluster_name=job.cluster,
        restart_count=job.restarts,
        **told,
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


def finishes(job: MockJob, ending: Ending, at: datetime, *, restarts: int) -> Iterator[JobFinished]:
    """What EpilogSlurmctld and each node's Epilog tell, as far as they can know."""
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


def seen(job: MockJob, now: datetime) -> SchedulerJob:
    """The job as the controller sees it."""
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
        resources=_in_all(job),
    )


def _in_all(job: MockJob) -> Resources:
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
