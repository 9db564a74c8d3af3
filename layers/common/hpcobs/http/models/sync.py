"""The controller's view of jobs and nodes. Each entry is checked by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hpcobs.domain.events import SchedulerJob
from hpcobs.domain.jobs import Resources
from hpcobs.domain.nodes import NodeReport
from hpcobs.domain.states import from_slurm
from hpcobs.http.models.types import (
    Body,
    ClusterName,
    Count,
    Extra,
    Int4,
    Int8,
    JobId,
    MemoryMb,
    NodeListOrEmpty,
    NodeName,
    Quantity,
    RequiredText,
    Text,
    Time,
)

if TYPE_CHECKING:
    from datetime import datetime

MAX_JOBS = 1000
MAX_NODE_REPORTS = 20_000


class StateSync(Body):
    """The envelope of ``POST /v1/events/jobs``."""

    observed_at: Time
    jobs: Annotated[list[Any], Field(max_length=MAX_JOBS)]
    cluster_name: ClusterName | None = None
    nodes: Annotated[list[Any], Field(max_length=MAX_NODE_REPORTS)] | None = None


class SeenJob(Body):
    """A job as the controller sees it; ``state`` is Slurm's own word."""

    job_id: JobId
    user: RequiredText
    state: RequiredText
    node_list: NodeListOrEmpty | None = None
    submit_time: Time | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    name: Text = None
    partition: Text = None
    account: Text = None
    qos: Text = None
    priority: Int8 | None = None
    exit_code: Int4 | None = None
    signal: Count | None = None
    state_reason: Text = None
    time_limit_minutes: Count | None = None
    requested_cpus: Count | None = None
    allocated_cpus: Count | None = None
    requested_memory_mb: MemoryMb | None = None
    allocated_memory_mb: MemoryMb | None = None
    requested_gpus: Count | None = None
    allocated_gpus: Count | None = None
    array_job_id: Text = None
    array_task_id: Text = None
    restart_count: Count | None = None
    extra: Extra | None = None

    def to_event(self, *, observed_at: datetime, cluster_name: str | None) -> SchedulerJob:
        """The job as the domain takes it; InvalidStateError if the state is not known."""
        return SchedulerJob(
            job_id=self.job_id,
            user=self.user,
            state=from_slurm(self.state),
            raw_state=self.state,
            observed_at=observed_at,
            cluster_name=cluster_name,
            nodes=self.node_list or (),
            resources=self._resources(),
            **self.model_dump(include=_AS_THEY_ARE),
        )

    def _resources(self) -> Resources:
        return Resources(
            requested_cpus=self.requested_cpus,
            allocated_cpus=self.allocated_cpus,
            requested_memory_mb=self.requested_memory_mb,
            allocated_memory_mb=self.allocated_memory_mb,
            requested_gpus=self.requested_gpus,
            allocated_gpus=self.allocated_gpus,
        )


_AS_THEY_ARE = {
    "submit_time",
    "start_time",
    "end_time",
    "name",
    "partition",
    "account",
    "qos",
    "priority",
    "exit_code",
    "signal",
    "state_reason",
    "time_limit_minutes",
    "array_job_id",
    "array_task_id",
    "restart_count",
    "extra",
}


class SeenNode(Body):
    """A node as the controller sees it."""

    node: NodeName
    state: RequiredText
    cpus: Count | None = None
    memory_total_mb: MemoryMb | None = None
    gpus: Count | None = None
    cpu_load: Quantity | None = None

    def to_report(self, *, observed_at: datetime, cluster_name: str | None) -> NodeReport:
        """The node as the domain takes it."""
        return NodeReport(
            node=self.node,
            state=self.state.lower(),
            cluster_name=cluster_name,
            cpus=self.cpus,
            memory_total_mb=self.memory_total_mb,
            gpus=self.gpus,
            cpu_load=self.cpu_load,
            observed_at=observed_at,
        )
