"""Events of jobs, from hooks and from the controller, become jobs and their audit trail."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hpcobs.domain import lifecycle, synchronisation
from hpcobs.domain.errors import DomainError, UnavailableError
from hpcobs.domain.job_from_event import from_finish, from_scheduler, from_start
from hpcobs.domain.outcomes import Outcome, Status, created
from hpcobs.ports.clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpcobs.domain.audit import AuditInfo
    from hpcobs.domain.events import JobFinished, JobStarted, RunEnd, SchedulerJob
    from hpcobs.domain.job_from_event import Origin
    from hpcobs.domain.jobs import Job
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.ports.clock import Clock
    from hpcobs.ports.unit_of_work import Store, UnitOfWork

    Decision = Callable[[Job, UnitOfWork], Outcome]

logger = logging.getLogger(__name__)

FAILED = "failed"


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event: ``status`` is created, updated, skipped, or failed."""

    job_id: str
    status: str
    message: str


class JobEvents:
    """The use cases of the events routes. All of them may be repeated safely."""

    def __init__(self, store: Store, origin: Origin, clock: Clock = utc_now) -> None:
        self._store = store
        self._origin = origin
        self._clock = clock

    def job_started(self, event: JobStarted, audit: AuditInfo) -> EventResult:
        """A job starts: it is created, or what is new is joined to what is known."""
        heard = from_start(event, self._origin)

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            return lifecycle.start(job, heard, _unmatched(job, heard, work))

        return self._heard(heard, audit, decide)

    def job_finished(self, event: JobFinished, audit: AuditInfo) -> EventResult:
        """A job, or a node of it, has ended.

        JobNotFoundError if the job is unknown and the event tells too little to create it.
        """

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            several = max(job.node_count, len(event.nodes)) > 1
            ends = work.jobs.node_ends(job.id) if several else ()
            return lifecycle.finish(job, event, ends)

        job_id = self._origin.job_id(event)
        result = self._changed(job_id, audit, decide)
        if result is None:
            self._store.jobs.create(from_finish(event, self._origin), audit)
            result = self._changed(job_id, audit, decide)
        return result or EventResult(job_id, Status.SKIPPED, "job was deleted meanwhile")

    def sync(
        self, jobs: Sequence[SchedulerJob], nodes: Sequence[NodeReport], audit: AuditInfo
    ) -> list[EventResult]:
        """Take over the controller's view of jobs and nodes; a bad job costs no other."""
        if nodes:
            self._store.nodes.report(nodes)
        return [self._synced(seen, audit) for seen in jobs]

    def _synced(self, seen: SchedulerJob, audit: AuditInfo) -> EventResult:
        # A controller whose clock runs ahead must not make its own later views look old.
        seen = replace(seen, observed_at=min(seen.observed_at, self._clock()))
        told = from_scheduler(seen, self._origin)
        restarts = seen.restart_count is not None

        def decide(job: Job, work: UnitOfWork) -> Outcome:
            unmatched = _unmatched(job, told, work)
            return synchronisation.sync(job, told, unmatched, restart_known=restarts)

        try:
            return self._heard(told, audit, decide)
        except UnavailableError:
            raise
        except DomainError as error:
            logger.warning("job %s of a state sync was not taken: %s", told.id, error)
            return EventResult(told.id, FAILED, error.message)

    def _heard(self, heard: Job, audit: AuditInfo, decide: Decision) -> EventResult:
        """Create the job if it is new, in one round trip; otherwise decide on the known one."""
        if self._store.jobs.create(heard, audit):
            return _result(created(heard))
        result = self._changed(heard.id, audit, decide)
        return result or EventResult(heard.id, Status.SKIPPED, "job was deleted meanwhile")

    def _changed(self, job_id: str, audit: AuditInfo, decide: Decision) -> EventResult | None:
        with self._store.transaction() as work:
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
            for end in outcome.node_ends:
                work.jobs.record_node_end(job_id, end)
            work.commit()
            return _result(outcome)


def _unmatched(job: Job, heard: Job, work: UnitOfWork) -> Sequence[RunEnd]:
    """The ends that were kept for a run to come; only a requeued job can have some."""
    if not max(job.restart_count, heard.restart_count):
        return ()
    return work.jobs.unmatched_ends(job.id)


def _result(outcome: Outcome) -> EventResult:
    return EventResult(outcome.job.id, outcome.status, outcome.message)
