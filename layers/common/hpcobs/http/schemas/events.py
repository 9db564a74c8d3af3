"""Bodies of the hooks' events, and the domain's events that they become."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from hpcobs.domain.events import FinishSource, JobFinished, JobStarted, StartSource
from hpcobs.domain.jobs import Resources
from hpcobs.domain.states import JobState  # noqa: TC001 - pydantic reads it at run time
from hpcobs.http.schemas.job_fields import (
    ClusterField,
    DeviceFields,
    ExitFields,
    NameFields,
    QueueFields,
    RestartField,
)
from hpcobs.http.schemas.types import (  # noqa: TC001 - pydantic reads them at run time
    Count,
    JobId,
    MemoryMb,
    NodeCpus,
    NodeList,
    NodeListOrEmpty,
    NodeName,
    RequiredText,
    Text,
    Time,
)


class StartedEvent(ClusterField, NameFields, DeviceFields, QueueFields):
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
    source: Annotated[StartSource, Field(strict=False)] = StartSource.PROLOG

    def to_event(self) -> JobStarted:
        """Return the start that the hook reports."""
        resources = self.into(
            Resources,
            allocated_cpus=self.cpu_allocation,
            allocated_memory_mb=self.memory_allocation_mb,
            allocated_gpus=self.gpu_allocation,
        )
        return self.into(JobStarted, nodes=self.node_list, resources=resources)


class FinishedEvent(ClusterField, RestartField, ExitFields):
    """The body of ``POST /v1/events/job-finished``."""

    job_id: JobId
    final_state: Annotated[JobState, Field(strict=False)]
    timestamp: Time
    node: NodeName | None = None
    node_list: NodeListOrEmpty | None = None
    user: Text = None
    source: Annotated[FinishSource, Field(strict=False)] = FinishSource.EPILOG

    def to_event(self) -> JobFinished:
        """Return the end that the hook reports."""
        return self.into(JobFinished, nodes=self.node_list or ())
