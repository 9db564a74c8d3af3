"""One scrape: a snapshot of what is running, as Prometheus text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from hpcobs.domain.errors import InvalidInputError, UnavailableError
from hpcobs.ports.scrape import GROUPS

if TYPE_CHECKING:
    from hpcobs.ports.queue import QueueDepth, SampleQueue
    from hpcobs.ports.scrape import ScrapeSource, Snapshot


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

    def render(self, *, openmetrics: bool = False, collect: frozenset[str] = frozenset()) -> str:
        """The exposition of the groups in ``collect``; of all groups if it is empty."""
        if unknown := collect - GROUPS:
            known = ", ".join(sorted(GROUPS))
            raise InvalidInputError("collect[]", f"{min(unknown)!r} is not one of {known}")
        with self._source.snapshot(collect or GROUPS) as snapshot:
            # The queue is asked before any row is read: it may be on the same connection.
            depth = self._depth() if "service" in snapshot.groups else None
            return self._write(replace(snapshot, queue=depth), openmetrics=openmetrics)

    def _depth(self) -> QueueDepth | None:
        """How full the queue is; no data where it does not answer, and the rest goes out."""
        try:
            return self._queue.depth()
        except UnavailableError:
            return None
