"""Bodies of the jobs routes, and the jobs, changes and samples that they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from hpcobs.domain.jobs import (
    Job,
    Precedence,
    Resources,
    SchedulerInfo,
    SchedulerType,
    scoped_id,
)
from hpcobs.domain.samples import Sample
from hpcobs.domain.states import JobState
from hpcobs.http.schemas.job_fields import (
    ClusterField,
    DeviceFields,
    NameFields,
    ResourceFields,
    SchedulerFields,
)
from hpcobs.http.schemas.types import (
    Body,
    JobId,
    MemoryMb,
    NodeList,
    NodeName,
    Percent,
    RequiredText,
    Text,
    Time,
)
from hpcobs.service.jobs import JobPatch

if TYPE_CHECKING:
    from datetime import datetime

    from hpcobs.domain.lifecycle.job_from_event import Origin


class NewScheduler(SchedulerFields):
    """The scheduler's facts on a new job."""

    type: Annotated[SchedulerType, Field(strict=False)] | None = None
    external_job_id: Text = None
    raw_state: Text = None


class NewJob(ClusterField, NameFields, DeviceFields, ResourceFields):
    """The body of ``POST /v1/jobs``."""

    id: JobId
    user: RequiredText
    nodes: NodeList
    start_time: Time | None = None
    scheduler_instance: Text = None
    scheduler: NewScheduler | None = None

    def to_job(self, origin: Origin, *, now: datetime) -> Job:
        """Return the running job. Without a start time it starts now."""
        return self.into(
            Job,
            id=scoped_id(self.id, cluster=self.cluster_name, home_cluster=origin.home_cluster),
            state=JobState.RUNNING,
            start_time=self.start_time or now,
            start_estimated=True,
            run_by=Precedence.CLAIM,
            cluster_name=self.cluster_name or origin.home_cluster,
            scheduler_instance=self.scheduler_instance or origin.scheduler_instance,
            ingest_version=origin.ingest_version,
            resources=self.into(Resources),
            scheduler=self._scheduler(origin),
        )

    def _scheduler(self, origin: Origin) -> SchedulerInfo:
        given = self.scheduler or NewScheduler()
        return given.into(
            SchedulerInfo,
            type=given.type or origin.scheduler_type,
            external_job_id=given.external_job_id or self.id,
        )


class JobChanges(Body):
    """The body of ``PATCH /v1/jobs/{jobId}``."""

    state: Annotated[JobState, Field(strict=False)] | None = None
    cpu_usage: Percent | None = None
    memory_usage_mb: MemoryMb | None = None
    gpu_usage: Percent | None = None

    def to_patch(self) -> JobPatch:
        """Return the change as the service expects it."""
        return self.into(JobPatch)


class NewSample(Body):
    """The body of ``POST /v1/jobs/{jobId}/metrics``."""

    timestamp: Time | None = None
    cpu_usage: Percent
    memory_usage_mb: MemoryMb
    gpu_usage: Percent | None = None
    node: NodeName | None = None

    def to_sample(self, job_id: str, *, now: datetime) -> Sample:
        """Return the job's sample, of ``now`` if it has no time.

        An empty node stands for the job's first.
        """
        return self.into(
            Sample, job_id=job_id, node=self.node or "", timestamp=self.timestamp or now
        )
