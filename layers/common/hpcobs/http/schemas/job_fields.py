"""The fields of a job that several bodies have, each in one place."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hpcobs.domain.jobs import GpuVendor  # noqa: TC001 - pydantic reads it at run time
from hpcobs.http.schemas.types import (
    Body,
    ClusterName,
    Count,
    Devices,
    Extra,
    Int4,
    Int8,
    MemoryMb,
    Path,
    Reason,
    Text,
    Time,
)


class ClusterField(Body):
    """The cluster that a job belongs to. None is the site's own."""

    cluster_name: ClusterName | None = None


class RestartField(Body):
    """Slurm's count of requeues."""

    restart_count: Count | None = None


class NameFields(RestartField):
    """A job's name, and its place in a job array and in its requeues."""

    name: Text = None
    array_job_id: Text = None
    array_task_id: Text = None


class DeviceFields(Body):
    """GPUs and the cgroup of a job, as its nodes see them."""

    gpu_vendor: Annotated[GpuVendor, Field(strict=False)] | None = None
    gpu_devices: Devices | None = None
    cgroup_path: Path = None


class ResourceFields(Body):
    """Requested and allocated resources, over all nodes of a job."""

    requested_cpus: Count | None = None
    allocated_cpus: Count | None = None
    requested_memory_mb: MemoryMb | None = None
    allocated_memory_mb: MemoryMb | None = None
    requested_gpus: Count | None = None
    allocated_gpus: Count | None = None


class QueueFields(Body):
    """The partition and the account of a job."""

    partition: Text = None
    account: Text = None


class ExitFields(Body):
    """How a job's process ended."""

    exit_code: Int4 | None = None
    signal: Count | None = None


class SchedulerFields(QueueFields, ExitFields):
    """Slurm's own facts on a job."""

    submit_time: Time | None = None
    qos: Text = None
    priority: Int8 | None = None
    state_reason: Reason = None
    time_limit_minutes: Count | None = None
    extra: Extra | None = None
