"""The repositories of jobs, of their nodes and of their audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.audit import AuditEvent, AuditInfo, ChangeType
    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job, Usage
    from hpcobs.domain.lifecycle.outcome import Discard, Recompute
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.domain.queries import JobFilter, JobPage, Position


class JobRepository(Protocol):
    """Jobs by id, and what belongs to them by their key (``Job.key``).

    Every change writes its audit row in the same transaction.
    """

    def create(self, job: Job, audit: AuditInfo) -> bool:
        """Add a job in one statement. Return False if the id is taken."""

    def add(self, job: Job, audit: AuditInfo) -> None:
        """Add a job. If its id is taken, count a failure and raise AlreadyExistsError."""

    def get(self, job_id: str) -> Job | None:
        """Return the job, or None."""

    def lock(self, job_id: str) -> Job | None:
        """Lock the job until the transaction ends, and return it, or None."""

    def lock_submissions(self, job_id: str) -> Sequence[Job]:
        """Lock all submissions of an id until the transaction ends. Return them, latest first."""

    def save(self, job: Job, change: ChangeType, audit: AuditInfo) -> None:
        """Write a locked job."""

    def recompute(self, before: Job, after: Job, what: Recompute) -> None:
        """Compute a saved job's statistics again. ``before`` is what they were computed for.

        Where samples are gone, their roll-ups are counted. Nothing is counted twice.
        """

    def discard(self, job: Job, wrong: Discard) -> None:
        """Remove samples of a locked job. The caller then recomputes its statistics."""

    def move_samples(
        self, job: Job, to: Job, *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Give a job's samples of a time, ``since`` to before ``until``, to another submission.

        Their statistics move with them. Both jobs are locked.
        """

    def release_samples(self, job: Job, reported_id: str, *, since: datetime) -> None:
        """Let a locked job's samples since a time wait for a submission of the reported id."""

    def record_seen(self, job: Job) -> None:
        """Store when the scheduler last saw a locked job. This writes no audit row."""

    def place_usage(self, key: str, usage: Usage) -> None:
        """Store a locked job's reported usage on its nodes, until their own samples replace it.

        Each node gets the percentages, and an equal share of the memory. A None changes nothing.
        """

    def delete(self, key: str, audit: AuditInfo, *, user: str | None = None) -> bool:
        """Remove the job of a key and its samples, but not its trail.

        Return False if ``user`` has no such job.
        """

    def page(
        self, query: JobFilter, *, limit: int, offset: int = 0, after: Position | None = None
    ) -> JobPage:
        """Return jobs newest first: the page after a position, or at an offset."""

    def node_ends(self, key: str) -> Sequence[RunEnd]:
        """Return the ends of the nodes that have ended in the job's current run."""

    def record_node_end(self, key: str, end: RunEnd) -> None:
        """Store that one node of the job has ended."""

    def clear_node_ends(self, key: str) -> None:
        """Remove the ends of the nodes of a job that has not ended."""

    def unmatched_ends(self, key: str) -> Sequence[RunEnd]:
        """Return the ends that may belong to a run of the job whose start is not reported yet."""

    def keep_unmatched(self, key: str, end: RunEnd) -> None:
        """Store an unmatched end, unless one of higher precedence, or a later one, is stored.

        Ends of different senders are stored side by side: each node's, and the controller's.
        """

    def unmatched_starts(self, key: str) -> Sequence[Job]:
        """Return the starts of the job that a source of higher precedence has to confirm."""

    def hold_start(self, key: str, incoming: Job, sender: str | None) -> None:
        """Store an unmatched start, unless the same sender has reported a later one.

        ``sender`` is a node, or None for the controller. The number of starts of a job is limited.
        """

    def release_starts(self, key: str) -> None:
        """Delete the unmatched starts of a job."""


class AuditTrail(Protocol):
    """The changes of jobs. They are only read here: each change writes its own row."""

    def of_job(self, job_id: str, *, limit: int = 1000) -> Sequence[AuditEvent]:
        """Return the job's latest changes, oldest first, also those of a deleted job."""


class NodeRepository(Protocol):
    """The cluster's nodes."""

    def report(self, reports: Sequence[NodeReport]) -> None:
        """Store the controller's view of nodes, unless a newer view is stored.

        Each report names its cluster, because two clusters may have a node of the same name.
        """
