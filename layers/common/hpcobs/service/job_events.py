"""Apply job events from hooks and from the controller to the stored jobs, with an audit trail."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hpcobs.domain.errors import DomainError, JobNotFoundError, UnavailableError
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.job_from_event import from_finish, from_scheduler, from_start
from hpcobs.domain.lifecycle.outcome import Outcome, Status
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.lifecycle.submissions import of_finish, of_start, of_view
from hpcobs.domain.lifecycle.sync import sync
from hpcobs.domain.samples import CLOCK_SKEW
from hpcobs.ports.clock import utc_now
from hpcobs.service.job_changes import Message, apply, unmatched_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.audit import AuditInfo
    from hpcobs.domain.events import JobFinished, JobStarted, SchedulerJob
    from hpcobs.domain.jobs import Job
    from hpcobs.domain.lifecycle.job_from_event import Origin
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.ports.clock import Clock
    from hpcobs.ports.unit_of_work import Store, UnitOfWork

logger = logging.getLogger(__name__)

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EventResult:
    """The result of one event. ``status`` is created, updated, skipped, or failed."""

    job_id: str
    status: str
    message: str


class JobEvents:
    """The use cases of the events routes. Each of them may be repeated safely."""

    def __init__(self, store: Store, origin: Origin, clock: Clock = utc_now) -> None:
        self._store = store
        self._origin = origin
        self._clock = clock

    def job_started(self, event: JobStarted, audit: AuditInfo) -> EventResult:
        """Create the job that starts, or merge the start into the stored job."""
        # Nothing was reported before it happened: a node's clock may run ahead of the service's.
        event = replace(event, timestamp=min(event.timestamp, self._clock()))
        incoming = from_start(event, self._origin)

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            return start(job, incoming, unmatched_ends(job, incoming, work), sender=event.node)

        message = Message(
            incoming.id,
            relate=lambda job: of_start(job, incoming),
            decide=decide,
            incoming=incoming,
            held_of=event.node,
        )
        return self._create_or_change(incoming, message, audit)

    def job_finished(self, event: JobFinished, audit: AuditInfo) -> EventResult:
        """End the job, or one of its nodes.

        Raise JobNotFoundError if the job is unknown and the event lacks what creates it.
        """
        event = replace(event, timestamp=min(event.timestamp, self._clock()))

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            # A job of one node needs no stored node ends: most jobs save this query.
            several = max(job.node_count, len(event.nodes)) > 1
            node_ends = work.jobs.node_ends(job.key) if several else ()
            return finish(job, event, node_ends)

        incoming = self._from_finish(event)
        message = Message(
            self._origin.job_id(event),
            relate=lambda job: of_finish(job, event),
            decide=decide,
            incoming=incoming,
        )
        result = self._change(message, audit)
        if result is None:
            if incoming is None:
                raise JobNotFoundError(message.job_id)
            # The end came before the start: create the job as running, then end it like any other.
            # It makes no difference if a start has created it meanwhile.
            self._store.jobs.create(incoming, audit)
            result = self._change(message, audit)
        return result or _deleted(message.job_id)

    def _from_finish(self, event: JobFinished) -> Job | None:
        try:
            return from_finish(event, self._origin)
        except JobNotFoundError:
            return None

    def sync(
        self, jobs: Sequence[SchedulerJob], nodes: Sequence[NodeReport], audit: AuditInfo
    ) -> list[EventResult]:
        """Store the controller's view of jobs and nodes. An invalid job affects no other."""
        if nodes:
            home = self._origin.home_cluster
            self._store.nodes.report(
                [replace(node, cluster_name=node.cluster_name or home) for node in nodes]
            )
        return [self._sync_job(job, audit) for job in jobs]

    def _sync_job(self, event: SchedulerJob, audit: AuditInfo) -> EventResult:
        # A controller whose clock runs ahead must not make its own later views look old.
        event = replace(event, observed_at=min(event.observed_at, self._clock()))
        view = from_scheduler(event, self._origin)
        restart_known = event.restart_count is not None

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            unmatched = unmatched_ends(job, view, work)
            return sync(self._seen_by_now(job), view, unmatched, restart_known=restart_known)

        message = Message(
            view.id,
            relate=lambda job: of_view(job, view, restart_known=restart_known),
            decide=decide,
            incoming=view,
            whole=True,
        )
        try:
            return self._create_or_change(view, message, audit)
        except UnavailableError:
            # Without a database no other job can be stored either: the caller retries them all.
            raise
        except DomainError as error:
            logger.warning("job %s of a state sync was rejected: %s", view.id, error)
            return EventResult(view.id, FAILED, error.message)

    def _seen_by_now(self, job: Job) -> Job:
        """Return the job without the time of a view that was stored while a clock was ahead."""
        seen_at = job.scheduler_seen_at
        if seen_at is None or seen_at <= self._clock() + CLOCK_SKEW:
            return job
        return replace(job, scheduler_seen_at=None)

    def _create_or_change(self, incoming: Job, message: Message, audit: AuditInfo) -> EventResult:
        # Most events create their job, which takes one round trip and no lock (docs/adr/0001).
        if self._store.jobs.create(incoming, audit):
            return EventResult(incoming.id, Status.CREATED, "job created")
        return self._change(message, audit) or _deleted(incoming.id)

    def _change(self, message: Message, audit: AuditInfo) -> EventResult | None:
        """Lock the job, decide and save in one transaction. Return None if there is no job."""
        with self._store.transaction() as work:
            outcome = apply(message, work, audit)
            if outcome is None:
                return None
            work.commit()
            # The caller's id, which finds the result: an earlier submission has another one.
            return EventResult(message.job_id, outcome.status, outcome.message)


def _deleted(job_id: str) -> EventResult:
    return EventResult(job_id, Status.SKIPPED, "job was deleted meanwhile")
