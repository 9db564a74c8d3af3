"""Apply job events from hooks and from the controller to the stored jobs, with an audit trail."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hpcobs.domain.errors import DomainError, UnavailableError
from hpcobs.domain.lifecycle.finish import finish
from hpcobs.domain.lifecycle.job_from_event import from_finish, from_scheduler, from_start
from hpcobs.domain.lifecycle.outcome import Outcome, Status
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.lifecycle.sync import sync
from hpcobs.ports.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpcobs.domain.audit import AuditInfo
    from hpcobs.domain.events import JobFinished, JobStarted, RunEnd, SchedulerJob
    from hpcobs.domain.jobs import Job
    from hpcobs.domain.lifecycle.job_from_event import Origin
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.ports.clock import Clock
    from hpcobs.ports.unit_of_work import Store, UnitOfWork

    Decision = Callable[[Job, UnitOfWork], Outcome]

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
        incoming = from_start(event, self._origin)

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            return start(job, incoming, _unmatched_ends(job, incoming, work))

        return self._create_or_change(incoming, audit, decide)

    def job_finished(self, event: JobFinished, audit: AuditInfo) -> EventResult:
        """End the job, or one of its nodes.

        Raise JobNotFoundError if the job is unknown and the event lacks what creates it.
        """

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            # A job of one node needs no stored node ends: most jobs save this query.
            several = max(job.node_count, len(event.nodes)) > 1
            node_ends = work.jobs.node_ends(job.id) if several else ()
            return finish(job, event, node_ends)

        job_id = self._origin.job_id(event)
        result = self._change(job_id, audit, decide)
        if result is None:
            # The end came before the start: create the job as running, then end it like any other.
            # It makes no difference if a start has created it meanwhile.
            self._store.jobs.create(from_finish(event, self._origin), audit)
            result = self._change(job_id, audit, decide)
        return result or _deleted(job_id)

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
            unmatched = _unmatched_ends(job, view, work)
            return sync(job, view, unmatched, restart_known=restart_known)

        try:
            return self._create_or_change(view, audit, decide)
        except UnavailableError:
            # Without a database no other job can be stored either: the caller retries them all.
            raise
        except DomainError as error:
            logger.warning("job %s of a state sync was rejected: %s", view.id, error)
            return EventResult(view.id, FAILED, error.message)

    def _create_or_change(self, incoming: Job, audit: AuditInfo, decide: Decision) -> EventResult:
        # Most events create their job, which takes one round trip and no lock (docs/adr/0001).
        if self._store.jobs.create(incoming, audit):
            return EventResult(incoming.id, Status.CREATED, "job created")
        return self._change(incoming.id, audit, decide) or _deleted(incoming.id)

    def _change(self, job_id: str, audit: AuditInfo, decide: Decision) -> EventResult | None:
        """Lock the job, decide and save in one transaction. Return None if there is no job."""
        with self._store.transaction() as work:
            # All events of one job queue up at this lock, so that the last of several nodes that
            # end at the same moment sees the ends of all others.
            job = work.jobs.lock(job_id)
            if job is None:
                return None
            outcome = decide(job, work)
            if outcome.unmatched is not None:
                work.jobs.keep_unmatched(job_id, outcome.unmatched)
            if outcome.change is not None:
                work.jobs.save(outcome.job, outcome.change, audit, recompute=outcome.recompute)
            elif outcome.job.scheduler_seen_at != job.scheduler_seen_at:
                work.jobs.record_seen(outcome.job)
            # After `save`, which resets the node ends of an earlier run.
            for end in outcome.node_ends:
                work.jobs.record_node_end(job_id, end)
            work.commit()
            return EventResult(outcome.job.id, outcome.status, outcome.message)


def _unmatched_ends(job: Job, incoming: Job, work: UnitOfWork) -> Sequence[RunEnd]:
    """Return the job's unmatched ends. Only a requeued job can have some: others save the query."""
    if not max(job.restart_count, incoming.restart_count):
        return ()
    return work.jobs.unmatched_ends(job.id)


def _deleted(job_id: str) -> EventResult:
    return EventResult(job_id, Status.SKIPPED, "job was deleted meanwhile")
