"""One scrape: a snapshot of what is running, as Prometheus text."""

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
    """The shard that ``0/4`` (to ``3/4``) names; InvalidInputError where it names none."""
    found = _SHARD.fullmatch(text)
    shard = Shard(int(found[1]), int(found[2])) if found else None
    if shard is None or not 0 <= shard.index < shard.count <= MAX_SHARDS:
        reason = f"must be such as 0/4, 1/4, 2/4 or 3/4, of {MAX_SHARDS} at the most"
        raise InvalidInputError("shard", reason)
    return shard


class Writer(Protocol):
    """Turns a snapshot into text."""

    def __call__(self, snapshot: Snapshot, *, openmetrics: bool) -> str:
        """The whole exposition."""


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
        """The exposition of the groups in ``collect``, or of all if it is empty, and of a shard."""
        if unknown := collect - GROUPS:
            known = ", ".join(sorted(GROUPS))
            raise InvalidInputError("collect[]", f"{min(unknown)!r} is not one of {known}")
        groups = collect or GROUPS
        if shard.index:
            groups -= {"service"}
        with self._source.snapshot(groups, shard) as snapshot:
            # The queue is asked before any row is read: it may be on the same connection.
            depth = self._depth() if "service" in snapshot.groups else None
            return self._write(replace(snapshot, queue=depth), openmetrics=openmetrics)

    def _depth(self) -> QueueDepth | None:
        """How full the queue is; no data where it does not answer, and the rest goes out."""
        try:
            return within(LIMIT_SECONDS, self._queue.depth)
        except UnavailableError:
            return None
