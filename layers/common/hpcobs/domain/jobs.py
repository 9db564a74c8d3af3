"""A job as hpcobs knows it: who runs what where, what it was given and what it uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from hpcobs.domain.states import is_suspended

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from hpcobs.domain.states import JobState


class SchedulerType(StrEnum):
    """Where a job comes from; ``mock`` marks simulated data."""

    MOCK = "mock"
    SLURM = "slurm"


class GpuVendor(StrEnum):
    """Whose GPUs a job was given."""

    NONE = "none"
    NVIDIA = "nvidia"
    AMD = "amd"
    MIXED = "mixed"


class Precedence(IntEnum):
    """Who said that a job has ended; a higher one corrects a lower one."""

    NODE_EPILOG = 1
    API = 2
    CONTROLLER_EPILOG = 3
    CONTROLLER_SYNC = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a job asked for and what it was given, over all its nodes; None where not known.

    ``cpus_per_node`` is in the order of the job's nodes, or empty.
    """

    requested_cpus: int | None = None
    allocated_cpus: int | None = None
    requested_memory_mb: int | None = None
    allocated_memory_mb: int | None = None
    requested_gpus: int | None = None
    allocated_gpus: int | None = None
    gpu_vendor: GpuVendor | None = None
    gpu_devices: tuple[str, ...] = ()
    cpus_per_node: tuple[int, ...] = ()
    cgroup_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a job uses now, and the statistics of its current run; None before the first sample.

    CPU and GPU are percent (0 to 100) of the allocation; a job of several nodes shows the mean
    over its nodes, each weighing as many times as it has CPUs, or GPUs, for the job (once each
    where that is not known), and the sum of their memory. Averages are over all stored samples of
    the run; maxima of CPU and GPU are the highest sample, that of memory the sum of each node's.
    """

    cpu_usage: float | None = None
    memory_usage_mb: int | None = None
    gpu_usage: float | None = None
    last_sample_at: datetime | None = None
    sample_count: int = 0
    avg_cpu_usage: float | None = None
    max_cpu_usage: float | None = None
    max_memory_usage_mb: int | None = None
    avg_gpu_usage: float | None = None
    max_gpu_usage: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerInfo:
    """What the scheduler says of a job, in its own words."""

    type: SchedulerType
    external_job_id: str
    raw_state: str | None = None
    submit_time: datetime | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    priority: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    state_reason: str | None = None
    time_limit_minutes: int | None = None
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job. ``nodes`` is empty only while the job is pending.

    ``restart_count`` counts Slurm's requeues; ``statistics_since`` is where the current run's
    statistics begin (None: with the first sample). ``start_estimated`` says that no start was heard
    yet, ``ended_by`` whose word the end is, ``scheduler_seen_at`` how old the controller's view is.
    """

    id: str
    user: str
    state: JobState
    start_time: datetime
    nodes: tuple[str, ...] = ()
    end_time: datetime | None = None
    name: str | None = None
    cluster_name: str | None = None
    scheduler_instance: str | None = None
    ingest_version: str | None = None
    array_job_id: str | None = None
    array_task_id: str | None = None
    restart_count: int = 0
    resources: Resources = field(default_factory=Resources)
    usage: Usage = field(default_factory=Usage)
    scheduler: SchedulerInfo | None = None
    start_estimated: bool = False
    statistics_since: datetime | None = None
    ended_by: Precedence | None = None
    scheduler_seen_at: datetime | None = None

    @property
    def node_count(self) -> int:
        """How many nodes the job has."""
        return len(self.nodes)

    @property
    def waits(self) -> bool:
        """Whether its run has not begun; a suspended job is pending as well, but has."""
        raw_state = self.scheduler.raw_state if self.scheduler else None
        return self.state == "pending" and not is_suspended(raw_state)

    def is_stale(self, now: datetime, *, after: timedelta) -> bool:
        """Whether it runs as far as is known, but neither nodes nor scheduler told of it lately."""
        told = (self.start_time, self.usage.last_sample_at, self.scheduler_seen_at)
        latest = max(moment for moment in told if moment is not None)
        return self.state == "running" and now - latest > after

    def runtime_seconds(self, now: datetime) -> float:
        """Seconds from start to end, or to ``now`` while running; 0 while pending."""
        if self.state == "pending":
            return 0.0
        return max(0.0, ((self.end_time or now) - self.start_time).total_seconds())


def scoped_id(job_id: str, *, cluster: str | None, home_cluster: str) -> str:
    """The id under which a cluster's job is kept: its own at home, ``<cluster>.<id>`` elsewhere."""
    if cluster is None or cluster == home_cluster:
        return job_id
    return f"{cluster}.{job_id}"
