"""The controller's view of jobs and nodes.

The envelope holds its entries unvalidated, because each is validated alone: a bad job or node does
not affect the others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from hpcobs.domain.errors import DomainError
from hpcobs.domain.events import SchedulerJob
from hpcobs.domain.jobs import Resources
from hpcobs.domain.nodes import NodeReport
from hpcobs.domain.states import from_slurm
from hpcobs.domain.values import MAX_TEXT
from hpcobs.http.schemas.job_fields import (
    ClusterField,
    NameFields,
    ResourceFields,
    SchedulerFields,
)
from hpcobs.http.schemas.types import (
    Body,
    Count,
    JobId,
    MemoryMb,
    NodeListOrEmpty,
    NodeName,
    Quantity,
    RequiredText,
    Time,
)
from hpcobs.http.validation import DamagedEntry, validated

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    Result = dict[str, str]

Entry = TypeVar("Entry", bound=Body)

MAX_JOBS = 1000
MAX_NODE_REPORTS = 20_000
LISTS = ("jobs", "nodes")
"""The fields of the envelope whose entries are read one by one."""
FAILED = "failed"
"""The status of a job that cannot be read, as of one that the service cannot store."""


class StateSync(ClusterField):
    """The envelope of ``POST /v1/events/jobs``."""

    observed_at: Time
    jobs: Annotated[list[Any], Field(max_length=MAX_JOBS)]
    nodes: Annotated[list[Any], Field(max_length=MAX_NODE_REPORTS)] | None = None

    def entries(self) -> SyncEntries:
        """Return the valid jobs and nodes, and the reason for each other entry."""
        entries = SyncEntries()
        shared: dict[str, Any] = {
            "observed_at": self.observed_at,
            "cluster_name": self.cluster_name,
        }
        for place, entry in enumerate(self.jobs):
            try:
                entries.jobs.append(_valid(SeenJob, entry).to_event(**shared))
            except DomainError as error:
                rejected = {"status": FAILED, "job_id": _name(entry, "job_id")}
                entries.rejected_jobs[place] = {**rejected, "message": error.message}
        for entry in self.nodes or ():
            try:
                entries.nodes.append(_valid(SeenNode, entry).to_report(**shared))
            except DomainError as error:
                entries.rejected_nodes.append(
                    {"node": _name(entry, "node"), "message": error.message}
                )
        return entries


@dataclass(slots=True)
class SyncEntries:
    """The entries of a state sync. ``rejected_jobs`` are results by the job's place in the list."""

    jobs: list[SchedulerJob] = field(default_factory=list)
    nodes: list[NodeReport] = field(default_factory=list)
    rejected_jobs: dict[int, Result] = field(default_factory=dict)
    rejected_nodes: list[dict[str, str]] = field(default_factory=list)

    def response_body(self, results: Sequence[Result]) -> dict[str, Any]:
        """Return one result per job of the request, and the rejected nodes if there are any.

        ``results`` are those of the valid jobs, in their order.
        """
        valid = iter(results)
        places = range(len(self.rejected_jobs) + len(results))
        in_order = [self.rejected_jobs.get(place) or next(valid) for place in places]
        nodes = {"rejected_nodes": self.rejected_nodes} if self.rejected_nodes else {}
        return {"results": in_order, **nodes}


class SeenJob(SchedulerFields, ResourceFields, NameFields):
    """A job in the controller's view. ``state`` is one of Slurm's own states."""

    job_id: JobId
    user: RequiredText
    state: RequiredText
    node_list: NodeListOrEmpty | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    suspended_seconds: Quantity | None = None
    suspended_since: Time | None = None

    def to_event(self, *, observed_at: datetime, cluster_name: str | None) -> SchedulerJob:
        """Return the job for the domain. Raise InvalidStateError if its state is unknown."""
        return self.into(
            SchedulerJob,
            state=from_slurm(self.state),
            raw_state=self.state,
            observed_at=observed_at,
            cluster_name=cluster_name,
            nodes=self.node_list or (),
            resources=self.into(Resources),
        )


class SeenNode(Body):
    """A node in the controller's view."""

    node: NodeName
    state: RequiredText
    cpus: Count | None = None
    memory_total_mb: MemoryMb | None = None
    gpus: Count | None = None
    cpu_load: Quantity | None = None

    def to_report(self, *, observed_at: datetime, cluster_name: str | None) -> NodeReport:
        """Return the node for the domain."""
        return self.into(
            NodeReport,
            state=self.state.lower(),
            cluster_name=cluster_name,
            observed_at=observed_at,
        )


def _valid(model: type[Entry], entry: Any) -> Entry:
    if isinstance(entry, DamagedEntry):
        raise entry.error
    return validated(model, entry)


def _name(entry: Any, key: str) -> str:
    """Return the id in a bad entry, or an empty text if there is none."""
    if isinstance(entry, DamagedEntry):
        found = re.search(rf'"{key}"\s*:\s*"([^"\\]*)"', entry.text)
        name = found[1] if found else None
    else:
        name = entry.get(key) if isinstance(entry, dict) else None
    return name[:MAX_TEXT] if isinstance(name, str) else ""
