"""The controller's view of jobs and nodes. Each entry is checked by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from hpcobs.domain.events import SchedulerJob
from hpcobs.domain.nodes import NodeReport
from hpcobs.domain.states import from_slurm
from hpcobs.http.models.facts import GivenResources, SchedulerFacts
from hpcobs.http.models.types import (
    Body,
    ClusterName,
    Count,
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


class SeenJob(SchedulerFacts, GivenResources):
    """A job as the controller sees it; ``state`` is Slurm's own word."""

    job_id: JobId
    user: RequiredText
    state: RequiredText
    node_list: NodeListOrEmpty | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    name: Text = None
    array_job_id: Text = None
    array_task_id: Text = None
    restart_count: Count | None = None

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
            start_time=self.start_time,
            end_time=self.end_time,
            name=self.name,
            array_job_id=self.array_job_id,
            array_task_id=self.array_task_id,
            restart_count=self.restart_count,
            resources=self.to_resources(),
            **self.facts(),
        )


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
