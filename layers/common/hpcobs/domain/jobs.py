"""A job as hpcobs stores it: its owner, nodes, allocation and usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

from hpcobs.domain.states import is_suspended

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hpcobs.domain.states import JobState


class SchedulerType(StrEnum):
    """The source of a job. ``mock`` marks simulated data."""

    MOCK = "mock"
    SLURM = "slurm"


class GpuVendor(StrEnum):
    """The vendor of a job's GPUs."""

    NONE = "none"
    NVIDIA = "nvidia"
    AMD = "amd"
    MIXED = "mixed"


class Precedence(IntEnum):
    """The source of a job's run, or of its end. A higher one corrects a lower one.

    ``CLAIM`` is a client that adds a job, or the service where it presumes an end: neither knows
    the job. Nodes see a job start and end, but not why. ``API`` is a client that ends a job.
    The controller knows most, and what it shows of a job is above what its hooks report.
    """

    CLAIM = 0
    NODE = 1
    API = 2
    CONTROLLER_HOOK = 3
    CONTROLLER_SYNC = 4


_PROVISIONAL = (Precedence.CLAIM, Precedence.NODE, Precedence.CONTROLLER_HOOK)

CONFIRM_AFTER = timedelta(minutes=10)
"""Time after which an end that only hooks reported counts as confirmed.

It covers several looks of the controller role, whose longest interval is a few minutes.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Requested and allocated resources, over all nodes of a job. None means unknown.

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
    """Current usage, and the statistics of the current run. None before the first sample.

    CPU and GPU are percent (0 to 100) of the allocation. Of several nodes, they are the mean over
    the nodes, weighted by each node's CPUs, or GPUs, for the job (equally where these are unknown).
    Memory is the sum over the nodes. Averages are over all stored samples of the run. The maxima of
    CPU and GPU are the highest sample, that of memory is the sum of each node's maximum.
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
    """A job's facts from the scheduler, in the scheduler's terms."""

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
    """One job, which is one submission. ``nodes`` is empty only while the job is pending.

    ``id`` is the id that people use. ``stored_as`` is the key of the stored job where it is another
    (None: the same), and ``submission_at`` its submission, if Slurm has used the id again.
    ``restart_count`` counts Slurm's requeues. ``run_by`` is the source of the current run: of its
    restart count, start and nodes. ``statistics_since`` is where the run's statistics begin (None:
    with the first sample). ``start_estimated`` means that no start has been received yet.
    ``ended_by`` is the source of the end. ``scheduler_seen_at`` is the time of the controller's
    last view. ``suspended_seconds`` is the time of the run's suspensions that have ended,
    ``suspended_since`` the start of the current one.
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
    run_by: Precedence = Precedence.NODE
    ended_by: Precedence | None = None
    scheduler_seen_at: datetime | None = None
    suspended_seconds: float = 0.0
    suspended_since: datetime | None = None
    submission_at: datetime | None = None
    stored_as: str | None = None

    @property
    def key(self) -> str:
        """The key of the stored job, which its samples, nodes and trail refer to."""
        return self.stored_as or self.id

    @property
    def node_count(self) -> int:
        """The number of the job's nodes."""
        return len(self.nodes)

    @property
    def waits(self) -> bool:
        """Whether the run has not begun. A suspended job is pending too, but its run has begun."""
        return self.state == "pending" and not self.is_suspended

    @property
    def is_suspended(self) -> bool:
        """Whether the run is suspended."""
        raw_state = self.scheduler.raw_state if self.scheduler else None
        return self.state == "pending" and is_suspended(raw_state)

    def is_stale(self, now: datetime, *, after: timedelta) -> bool:
        """Return whether this running job has no report from nodes or scheduler for ``after``."""
        reports = (self.start_time, self.usage.last_sample_at, self.scheduler_seen_at)
        latest = max(reported_at for reported_at in reports if reported_at is not None)
        return self.state == "running" and now - latest > after

    def runtime_seconds(self, now: datetime) -> float:
        """Return the seconds that the run has run, without suspensions. 0 before its start."""
        if self.waits:
            return 0.0
        until = self.end_time or self.suspended_since or now
        # A node's clock may run ahead of the service's: a runtime is never negative.
        return max(0.0, (until - self.start_time).total_seconds() - self.suspended_seconds)

    def is_end_confirmed(self, now: datetime) -> bool | None:
        """Return whether the end is more than what hooks reported. None before the end.

        A hook cannot see a cancellation, a time limit or a requeue. After CONFIRM_AFTER without
        another report from the controller its end stands.
        """
        if self.end_time is None or not self.state.is_terminal:
            return None
        provisional = self.ended_by in _PROVISIONAL and now - self.end_time < CONFIRM_AFTER
        return not provisional


def scoped_id(job_id: str, *, cluster: str | None, home_cluster: str) -> str:
    """Return the id under which a job is stored: ``<cluster>.<id>`` if not of the home cluster."""
    if cluster is None or cluster == home_cluster:
        return job_id
    return f"{cluster}.{job_id}"
