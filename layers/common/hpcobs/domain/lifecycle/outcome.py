"""The result of every lifecycle decision: the rows to write, and the event's result."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hpcobs.domain.audit import ChangeType
    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job


class Status(StrEnum):
    """How an event was handled."""

    CREATED = "created"
    UPDATED = "updated"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """The samples of a job to remove, because they came under a claim that proved wrong.

    Those from ``since`` to before ``until`` (None: of all times) that are not from ``kept_nodes``
    go, and all from before ``before``.
    """

    kept_nodes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision: save ``job`` if ``change`` is set, and store the ends and the start it names.

    Without a change, only ``job.scheduler_seen_at`` may differ from the stored job.
    ``recompute`` means that the run's statistics are rebuilt from the stored samples, after those
    of ``discard`` were removed. ``begins`` means that another run is stored, for which held starts
    may be waiting. ``node_ends`` are nodes of the current run that have ended,
    ``reopened`` means that those stored before were no ends. ``unmatched`` is an end that may
    belong to a run whose start has not been received yet. ``held`` is a start that a source of
    higher precedence has to confirm. ``displaced`` is the stored job with a run that is one.
    """

    job: Job
    status: Status
    message: str
    change: ChangeType | None = None
    _: KW_ONLY
    recompute: bool = False
    begins: bool = False
    discard: Discard | None = None
    node_ends: tuple[RunEnd, ...] = ()
    reopened: bool = False
    unmatched: RunEnd | None = None
    held: Job | None = None
    displaced: Job | None = None
