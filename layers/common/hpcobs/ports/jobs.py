"""Jobs, their nodes and their audit trail, as the services need them kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.audit import AuditEvent, AuditInfo, ChangeType
    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job, Usage
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.domain.queries import JobFilter, JobPage, Position


class JobRepository(Protocol):
    """Jobs by id. Every change writes its audit row in the same transaction."""

    def create(self, job: Job, audit: AuditInfo) -> bool:
        """Add a job that is not known yet, in one statement; False if the id is taken."""

    def add(self, job: Job, audit: AuditInfo) -> None:
        """Add a job; AlreadyExistsError if the id is taken, which counts as a failed operation."""

    def get(self, job_id: str) -> Job | None:
        """The job, or None."""

    def lock(self, job_id: str) -> Job | None:
        """The job, held against other writers until the transaction ends, or None."""

    def save(
        self, job: Job, change: ChangeType, audit: AuditInfo, *, recompute: bool = False
    ) -> None:
        """Write a locked job; ``recompute`` rebuilds its statistics from the stored samples."""

    def record_seen(self, job: Job) -> None:
        """Keep when the scheduler last saw a locked job: no change of the job, and not audited."""

    def place_usage(self, job_id: str, usage: Usage) -> None:
        """Show a locked job's current usage, where it is told, on its nodes until they are heard.

        Each gets the percentages, and an equal share of the memory.
        """

    def delete(self, job_id: str, audit: AuditInfo, *, user: str | None = None) -> bool:
        """Remove the job and its samples; its trail stays. False if ``user`` has no such job."""

    def page(
        self, query: JobFilter, *, limit: int, offset: int = 0, after: Position | None = None
    ) -> JobPage:
        """Jobs newest first: the page after a position, or at an offset."""

    def node_ends(self, job_id: str) -> Sequence[RunEnd]:
        """The nodes of the job's current run that have ended."""

    def record_node_end(self, job_id: str, end: RunEnd) -> None:
        """Keep that one node of the job has ended."""

    def unmatched_ends(self, job_id: str) -> Sequence[RunEnd]:
        """The ends that may be those of a run of the job whose start was not heard yet."""

    def keep_unmatched(self, job_id: str, end: RunEnd) -> None:
        """Keep such an end, unless one of the same sender is kept that says more."""


class AuditTrail(Protocol):
    """The changes of jobs, to be read; they are written with the changes themselves."""

    def of_job(self, job_id: str, *, limit: int = 1000) -> Sequence[AuditEvent]:
        """The job's latest changes, oldest first; also of a job that was deleted."""


class NodeRepository(Protocol):
    """The cluster's nodes."""

    def report(self, reports: Sequence[NodeReport]) -> None:
        """Take over the controller's view of nodes."""
