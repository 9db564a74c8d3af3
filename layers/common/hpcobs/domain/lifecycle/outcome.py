"""The result of every lifecycle decision: the rows to write, and the event's result."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs.domain.audit import ChangeType
    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job


class Status(StrEnum):
    """How an event was handled."""

    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision: save ``job`` if ``change`` is set, and store ``node_ends`` and ``unmatched``.

    Without a change, only ``job.scheduler_seen_at`` may differ from the stored job.
    ``recompute`` means that the run's statistics are rebuilt from the stored samples.
    ``node_ends`` are nodes of the current run that have ended. ``unmatched`` is an end that may
    belong to a run whose start has not been received yet.
    """

    job: Job
    status: Status
    message: str
    change: ChangeType | None = None
    _: KW_ONLY
    recompute: bool = False
    node_ends: tuple[RunEnd, ...] = ()
    unmatched: RunEnd | None = None
