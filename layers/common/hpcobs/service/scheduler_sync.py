"""Read a scheduler's controller, and store its changed jobs like a posted state sync."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4
from zlib import crc32

from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.errors import DomainError, UnavailableError
from hpcobs.domain.states import JobState
from hpcobs.service.job_events import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.ports.scheduler import JobSource
    from hpcobs.service.job_events import JobEvents

logger = logging.getLogger(__name__)

JOBS_PER_CHECK = 100
"""Jobs between two checks of the remaining time."""
RESEND_SECONDS = 600
"""How often an unchanged running job is sent again, so that it does not become stale."""
BUSY = frozenset({"allocated", "mixed"})
"""States of a node that has jobs."""
_NO_TIME = datetime.fromtimestamp(0, UTC)


class SchedulerSync:
    """Sends ``events`` the jobs that have changed in ``source`` since the last pass.

    The last pass is kept in memory. A new process sends every job once, which changes nothing.
    """

    def __init__(self, source: JobSource, events: JobEvents, *, scheduler: str) -> None:
        self._source = source
        self._events = events
        self._scheduler = scheduler
        self._reported: dict[str, tuple[SchedulerJob, int]] = {}

    def run(self, remaining_seconds: Callable[[], float], *, reserve_seconds: float) -> int:
        """Run one pass. Return the number of changed jobs.

        An unavailable scheduler or database is logged, not raised: the collector that calls this
        goes on with its samples. If fewer than ``reserve_seconds`` remain, the rest of the jobs is
        left for the next pass.
        """
        try:
            return self._sync(remaining_seconds, reserve_seconds)
        except DomainError as error:
            logger.warning("cannot sync with the scheduler: %s", error)
            return 0

    def _sync(self, remaining_seconds: Callable[[], float], reserve_seconds: float) -> int:
        audit = AuditInfo("collector", self._scheduler, str(uuid4()))
        jobs, nodes = self._source.list_jobs(), self._source.list_nodes()
        _check_complete(jobs, nodes)
        self._events.sync([], nodes, audit)
        keys = {job.job_id: _comparison_key(job) for job in jobs}
        # Drop jobs that Slurm no longer lists, so that this memory does not grow without bound.
        self._reported = {id_: key for id_, key in self._reported.items() if id_ in keys}
        changed = [job for job in jobs if self._reported.get(job.job_id) != keys[job.job_id]]
        for start in range(0, len(changed), JOBS_PER_CHECK):
            if remaining_seconds() < reserve_seconds:
                return start
            part = changed[start : start + JOBS_PER_CHECK]
            results = self._events.sync(part, (), audit)
            # A failed job is not recorded: the next pass sends it again.
            self._reported |= {
                job.job_id: keys[job.job_id]
                for job, result in zip(part, results, strict=True)
                if result.status != FAILED
            }
        return len(changed)


def _check_complete(jobs: Sequence[SchedulerJob], nodes: Sequence[NodeReport]) -> None:
    """Raise UnavailableError if no job is listed while a node has some: the query failed silently.

    What was sent before is kept then, and compared with the jobs of the next pass.
    """
    busy = None if jobs else next((node for node in nodes if _is_busy(node)), None)
    if busy is not None:
        raise UnavailableError(f"no jobs were listed, although node {busy.node} is {busy.state}")


def _is_busy(node: NodeReport) -> bool:
    return node.state is not None and node.state.partition("+")[0].strip("*~#!%$@^-") in BUSY


def _comparison_key(job: SchedulerJob) -> tuple[SchedulerJob, int]:
    """Return the job without fields that change at every pass, and the number of its resend.

    A waiting job's priority changes with its age. The resend number of a running job rises every
    ``RESEND_SECONDS``, at a time that depends on the id, so that not all jobs are sent at once.
    """
    priority = None if job.state is JobState.PENDING else job.priority
    resend = 0
    if job.state is JobState.RUNNING:
        resend = (int(job.observed_at.timestamp()) + crc32(job.job_id.encode())) // RESEND_SECONDS
    return replace(job, observed_at=_NO_TIME, priority=priority), resend
