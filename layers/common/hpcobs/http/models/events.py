"""Bodies of the hooks' events, and the domain's events that they tell of."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hpcobs.domain.events import FinishSource, JobFinished, JobStarted, StartSource
from hpcobs.domain.jobs import GpuVendor, Resources
from hpcobs.domain.states import JobState  # noqa: TC001 - pydantic reads it at run time
from hpcobs.http.models.types import (
    Body,
    ClusterName,
    Count,
    Devices,
    Int4,
    JobId,
    MemoryMb,
    NodeCpus,
    NodeList,
    NodeListOrEmpty,
    NodeName,
    Path,
    RequiredText,
    Text,
    Time,
)


class StartedEvent(Body):
    """The body of ``POST /v1/events/job-started``."""

    job_id: JobId
    user: RequiredText
    node_list: NodeList
    timestamp: Time
    node: NodeName | None = None
    cpu_allocation: Count | None = None
    cpus_per_node: NodeCpus | None = None
    memory_allocation_mb: MemoryMb | None = None
    gpu_allocation: Count | None = None
    gpu_vendor: Annotated[GpuVendor, Field(strict=False)] | None = None
    gpu_devices: Devices | None = None
    cgroup_path: Path | None = None
    partition: Text = None
    account: Text = None
    cluster_name: ClusterName | None = None
    name: Text = None
    array_job_id: Text = None
    array_task_id: Text = None
    restart_count: Count | None = None
    source: Annotated[StartSource, Field(strict=False)] = StartSource.PROLOG

    def to_event(self) -> JobStarted:
        """The start that a hook saw."""
        return JobStarted(
            job_id=self.job_id,
            user=self.user,
            nodes=self.node_list,
            timestamp=self.timestamp,
            node=self.node,
            source=self.source,
            resources=Resources(
                allocated_cpus=self.cpu_allocation,
                allocated_memory_mb=self.memory_allocation_mb,
                allocated_gpus=self.gpu_allocation,
                gpu_vendor=self.gpu_vendor,
                gpu_devices=self.gpu_devices or (),
                cpus_per_node=self.cpus_per_node or (),
                cgroup_path=self.cgroup_path,
            ),
            partition=self.partition,
            account=self.account,
            cluster_name=self.cluster_name,
            name=self.name,
            array_job_id=self.array_job_id,
            array_task_id=self.array_task_id,
            restart_count=self.restart_count or 0,
        )


class FinishedEvent(Body):
    """The body of ``POST /v1/events/job-finished``."""

    job_id: JobId
    final_state: Annotated[JobState, Field(strict=False)]
    timestamp: Time
    exit_code: Int4 | None = None
    signal: Count | None = None
    node: NodeName | None = None
    node_list: NodeListOrEmpty | None = None
    user: Text = None
    cluster_name: ClusterName | None = None
    restart_count: Count | None = None
    source: Annotated[FinishSource, Field(strict=False)] = FinishSource.EPILOG

    def to_event(self) -> JobFinished:
        """The end that a hook saw."""
        return JobFinished(
            job_id=self.job_id,
            final_state=self.final_state,
            timestamp=self.timestamp,
            exit_code=self.exit_code,
            signal=self.signal,
            node=self.node,
            nodes=self.node_list or (),
            user=self.user,
            cluster_name=self.cluster_name,
            restart_count=self.restart_count,
            source=self.source,
        )
