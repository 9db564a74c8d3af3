"""The interface of a scrape: one consistent snapshot of the running jobs and their nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from hpcobs.ports.queue import QueueDepth

Row = tuple[str | None, ...]
"""Label values, then numbers, all as text. None is "no reading"."""

GROUPS = frozenset({"jobs", "gpus", "nodes", "service"})
"""The groups of metrics that ``collect[]`` may name."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One of ``count`` parts of the jobs and nodes. The first part has all other metrics too."""

    index: int = 0
    count: int = 1


WHOLE = Shard()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTotals:
    """One storage operation over all functions: counts per bucket (not cumulative) and seconds.

    The last bucket has no bound.
    """

    operation: str
    observations: Sequence[int]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The rows of one scrape. A group that was not requested is empty.

    ``job_nodes``: job, user, node, cluster; runtime s, CPU %, memory bytes, GPU %.
    ``jobs``: job, user, account, partition, cluster, name; 1, memory limit bytes, CPUs.
    ``gpus``: job, node, cluster, vendor, GPU; utilisation %, memory bytes, power W, temperature °C.
    ``nodes``: node, cluster, state; 1, CPU %, memory bytes, GPU %, jobs, total memory bytes, CPUs,
    load, last seen.

    ``held``: table, reason, seconds of the data that retention holds back.

    A node's cluster is None if it is the home cluster.

    Rows are streamed: iterate over the kinds in this order, over each once and to its end.
    """

    job_nodes: Iterable[Row] = ()
    jobs: Iterable[Row] = ()
    gpus: Iterable[Row] = ()
    nodes: Iterable[Row] = ()
    stale_jobs: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)
    gauges: Mapping[str, float] = field(default_factory=dict)
    held: Sequence[tuple[str, str, float]] = ()
    operations: Sequence[OperationTotals] = ()
    bucket_bounds: Sequence[float] = ()
    error_types: Sequence[str] = ()
    queue: QueueDepth | None = None
    groups: frozenset[str] = GROUPS
    shard: Shard = WHOLE


class ScrapeSource(Protocol):
    """The source of a scrape's rows."""

    def snapshot(
        self, groups: frozenset[str], shard: Shard = WHOLE
    ) -> AbstractContextManager[Snapshot]:
        """Lend the rows of the groups and the shard, all from one moment, within the context.

        Raise UnavailableError without a database, at once or while the rows are read.
        """
