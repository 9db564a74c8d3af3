"""Bodies of the jobs routes, and the jobs, changes and samples that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hpcobs.domain.jobs import GpuVendor, Job, SchedulerInfo, scoped_id
from hpcobs.domain.samples import Sample
from hpcobs.domain.states import JobState
from hpcobs.http.models.facts import GivenResources, SchedulerFacts
from hpcobs.http.models.types import (
    Body,
    ClusterName,
    Count,
    Devices,
    JobId,
    MemoryMb,
    NodeList,
    NodeName,
    Path,
    Percent,
    RequiredText,
    Text,
    Time,
)
from hpcobs.service.jobs import JobPatch

if TYPE_CHECKING:
    from datetime import datetime

    from hpcobs.domain.lifecycle.job_from_event import Origin


class NewScheduler(SchedulerFacts):
    """What the scheduler says of a new job."""

    external_job_id: Text = None
    raw_state: Text = None


class NewJob(GivenResources):
    """The body of ``POST /v1/jobs``."""

    id: JobId
    user: RequiredText
    nodes: NodeList
    start_time: Time | None = None
    name: Text = None
    cluster_name: ClusterName | None = None
    scheduler_instance: Text = None
    array_job_id: Text = None
    array_task_id: Text = None
    restart_count: Count | None = None
    gpu_vendor: Annotated[GpuVendor, Field(strict=False)] | None = None
    gpu_devices: Devices | None = None
    cgroup_path: Path | None = None
    scheduler: NewScheduler | None = None

    def to_job(self, origin: Origin, *, now: datetime) -> Job:
        """The running job; without a start time it starts now."""
        return Job(
            id=scoped_id(self.id, cluster=self.cluster_name, home_cluster=origin.home_cluster),
            user=self.user,
            nodes=self.nodes,
            state=JobState.RUNNING,
            start_time=self.start_time or now,
            start_estimated=True,
            name=self.name,
            cluster_name=self.cluster_name or origin.home_cluster,
            scheduler_instance=self.scheduler_instance or origin.scheduler_instance,
            ingest_version=origin.ingest_version,
            array_job_id=self.array_job_id,
            array_task_id=self.array_task_id,
            restart_count=self.restart_count or 0,
            resources=self.to_resources(
                gpu_vendor=self.gpu_vendor,
                gpu_devices=self.gpu_devices or (),
                cgroup_path=self.cgroup_path,
            ),
            scheduler=self._scheduler(origin),
        )

    def _scheduler(self, origin: Origin) -> SchedulerInfo:
        told = self.scheduler or NewScheduler()
        return SchedulerInfo(
            type=origin.scheduler_type,
            external_job_id=told.external_job_id or self.id,
            raw_state=told.raw_state,
            **told.facts(),
        )


class JobChanges(Body):
    """The body of ``PATCH /v1/jobs/{jobId}``."""

    state: Annotated[JobState, Field(strict=False)] | None = None
    cpu_usage: Percent | None = None
    memory_usage_mb: MemoryMb | None = None
    gpu_usage: Percent | None = None

    def to_patch(self) -> JobPatch:
        """The change as the service takes it."""
        return JobPatch(
            state=self.state,
            cpu_usage=self.cpu_usage,
            memory_usage_mb=self.memory_usage_mb,
            gpu_usage=self.gpu_usage,
        )


class NewSample(Body):
    """The body of ``POST /v1/jobs/{jobId}/metrics``."""

    timestamp: Time
    cpu_usage: Percent
    memory_usage_mb: MemoryMb
    gpu_usage: Percent | None = None
    node: NodeName | None = None

    def to_sample(self, job_id: str) -> Sample:
        """The sample of a job; an empty node stands for the job's first."""
        return Sample(
            job_id=job_id,
            timestamp=self.timestamp,
            node=self.node or "",
            cpu_usage=self.cpu_usage,
            memory_usage_mb=self.memory_usage_mb,
            gpu_usage=self.gpu_usage,
        )
