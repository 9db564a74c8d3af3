"""Read a scheduler that can be queried and pass on what changed, as if it were posted."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import uuid4
from zlib import crc32

from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.errors import DomainError
from hpcobs.domain.states import JobState
from hpcobs.service.job_events import FAILED

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.ports.scheduler import JobSource
    from hpcobs.service.job_events import JobEvents

logger = logging.getLogger(__name__)

AT_ONCE = 100
"""Jobs between two looks at the clock."""
RETOLD_SECONDS = 600
"""How often a job that runs unchanged is told again, so that it does not look forgotten."""
_ANY_TIME = datetime.fromtimestamp(0, UTC)


class SchedulerSync:
    """Asks ``source`` and tells ``events`` what is not as it was the last time."""

    def __init__(self, source: JobSource, events: JobEvents, *, scheduler: str) -> None:
        self._source = source
        self._events = events
        self._scheduler = scheduler
        self._told: dict[str, tuple[SchedulerJob, int]] = {}

    def run(self, remaining_seconds: Callable[[], float], *, reserve_seconds: float) -> int:
        """One look; how many jobs had changed. Nothing that fails here costs the caller anything.

        What does not fit into the time comes with the next look.
        """
        try:
            return self._look(remaining_seconds, reserve_seconds)
        except DomainError as error:
            logger.warning("the scheduler cannot be followed: %s", error)
            return 0

    def _look(self, remaining_seconds: Callable[[], float], reserve_seconds: float) -> int:
        audit = AuditInfo("collector", self._scheduler, str(uuid4()))
        jobs, nodes = self._source.list_jobs(), self._source.list_nodes()
        self._events.sync([], nodes, audit)
        known = {job.job_id: _lasting(job) for job in jobs}
        self._told = {id_: job for id_, job in self._told.items() if id_ in known}
        changed = [job for job in jobs if self._told.get(job.job_id) != known[job.job_id]]
        for start in range(0, len(changed), AT_ONCE):
            if remaining_seconds() < reserve_seconds:
                return start
            part = changed[start : start + AT_ONCE]
            results = self._events.sync(part, (), audit)
            self._told |= {
                job.job_id: known[job.job_id]
                for job, result in zip(part, results, strict=True)
                if result.status != FAILED
            }
        return len(changed)


def _lasting(job: SchedulerJob) -> tuple[SchedulerJob, int]:
    """The job without what changes all the time and matters to nobody, and its turn to be retold.

    Jobs take turns, so that not all are told at once.
    """
    priority = None if job.state is JobState.PENDING else job.priority
    turn = 0
    if job.state is JobState.RUNNING:
        turn = (int(job.observed_at.timestamp()) + crc32(job.job_id.encode())) // RETOLD_SECONDS
    return replace(job, observed_at=_ANY_TIME, priority=priority), turn
