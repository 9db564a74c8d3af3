"""The result of every lifecycle decision: the rows to write, and the event's result."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from enum import Enum, StrEnum, auto
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


class Recompute(Enum):
    """What an event changes of a run's statistics, so that they are computed again.

    ``WEIGHTS``: the nodes' weights in the job's means. ``BOUNDARY``: where the run's statistics
    begin. ``SAMPLES``: some of the samples were removed. ``RUN``: another run is stored.
    """

    NOTHING = auto()
    WEIGHTS = auto()
    BOUNDARY = auto()
    SAMPLES = auto()
    RUN = auto()

    @classmethod
    def of(cls, before: Job, after: Job, discard: Discard | None) -> Recompute:
        """Return what changes where the same run goes on."""
        if discard is not None:
            return cls.SAMPLES
        if after.statistics_since != before.statistics_since:
            return cls.BOUNDARY
        weights = (before.nodes, before.resources.cpus_per_node)
        changed = weights != (after.nodes, after.resources.cpus_per_node)
        return cls.WEIGHTS if changed and before.usage.sample_count else cls.NOTHING


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
    ``recompute`` is what changes of the run's statistics, after the samples of ``discard`` were
    removed. ``begins`` means that another run is stored, for which held starts
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
    recompute: Recompute = Recompute.NOTHING
    begins: bool = False
    discard: Discard | None = None
    node_ends: tuple[RunEnd, ...] = ()
    reopened: bool = False
    unmatched: RunEnd | None = None
    held: Job | None = None
    displaced: Job | None = None
