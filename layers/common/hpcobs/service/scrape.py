"""Render one scrape: a snapshot of running jobs and nodes as Prometheus text."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from hpcobs.domain.errors import InvalidInputError, UnavailableError
from hpcobs.ports.scrape import GROUPS, WHOLE, Shard
from hpcobs.service.limits import LIMIT_SECONDS, within

if TYPE_CHECKING:
    from hpcobs.ports.queue import QueueDepth, SampleQueue
    from hpcobs.ports.scrape import ScrapeSource, Snapshot


MAX_SHARDS = 1000
_SHARD = re.compile(r"(\d{1,4})/(\d{1,4})", re.ASCII)


def shard_of(text: str) -> Shard:
    """Return the shard that ``0/4`` (to ``3/4``) names. Raise InvalidInputError for other texts."""
    found = _SHARD.fullmatch(text)
    shard = Shard(int(found[1]), int(found[2])) if found else None
    if shard is None or not 0 <= shard.index < shard.count <= MAX_SHARDS:
        reason = f"must be index/count, such as 0/4 to 3/4, with a count of at most {MAX_SHARDS}"
        raise InvalidInputError("shard", reason)
    return shard


class Writer(Protocol):
    """Renders a snapshot as text."""

    def __call__(self, snapshot: Snapshot, *, openmetrics: bool) -> str:
        """Return the whole exposition."""


class Scrape:
    """The use case of the metrics route."""

    def __init__(self, source: ScrapeSource, queue: SampleQueue, write: Writer) -> None:
        self._source = source
        self._queue = queue
        self._write = write

    def render(
        self,
        *,
        openmetrics: bool = False,
        collect: frozenset[str] = frozenset(),
        shard: Shard = WHOLE,
    ) -> str:
        """Return the exposition of a shard, with the groups in ``collect``, or all if it is empty.

        Raise InvalidInputError for an unknown group, UnavailableError without a database.
        """
        if unknown := collect - GROUPS:
            known = ", ".join(sorted(GROUPS))
            raise InvalidInputError("collect[]", f"{min(unknown)!r} is not one of {known}")
        groups = collect or GROUPS
        # The service's own metrics belong to one shard only: no series may be in two.
        if shard.index:
            groups -= {"service"}
        with self._source.snapshot(groups, shard) as snapshot:
            # Before the first row: a queue in PostgreSQL may use the same connection as the rows.
            depth = self._depth() if "service" in snapshot.groups else None
            return self._write(replace(snapshot, queue=depth), openmetrics=openmetrics)

    def _depth(self) -> QueueDepth | None:
        """Return the queue's depth, or None if it does not respond within the limit."""
        # A silent queue must not hide all other metrics.
        try:
            return within(LIMIT_SECONDS, self._queue.depth)
        except UnavailableError:
            return None
