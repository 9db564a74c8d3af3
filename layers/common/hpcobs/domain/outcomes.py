"""What a message did to a job: the answer of every lifecycle decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hpcobs.domain.audit import ChangeType

if TYPE_CHECKING:
    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job


class Status(StrEnum):
    """What became of an event."""

    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What to write: ``job`` if ``change`` is not None, ``node_ends`` if nodes of several ended.

    Without a change, all that may be new of ``job`` is when the scheduler last saw it.

    ``recompute`` asks for the run's statistics to be rebuilt from the stored samples. ``unmatched``
    is an end that may be that of a run whose start was not heard yet.
    """

    job: Job
    status: Status
    message: str
    change: ChangeType | None = None
    recompute: bool = False
    node_ends: tuple[RunEnd, ...] = ()
    unmatched: RunEnd | None = None


def skipped(job: Job, message: str) -> Outcome:
    """Nothing changes; ``message`` says why."""
    return Outcome(job=job, status=Status.SKIPPED, message=message)


def created(job: Job) -> Outcome:
    """The job was not known before."""
    return Outcome(job=job, status=Status.CREATED, message="job created", change=ChangeType.UPSERT)


def updated(
    job: Job,
    message: str,
    *,
    change: ChangeType = ChangeType.UPDATE,
    recompute: bool = False,
) -> Outcome:
    """The job is now ``job``."""
    return Outcome(
        job=job, status=Status.UPDATED, message=message, change=change, recompute=recompute
    )
