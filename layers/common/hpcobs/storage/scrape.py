"""The rows of a scrape: read once, in one read-only snapshot, numbers already as text.

Rows are streamed: while some are rendered, the server prepares the next ones, and memory holds few
at a time. Every query starts from the index of running jobs, so that finished jobs cost nothing.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING

import psycopg

from hpcobs.ports.scrape import WHOLE, OperationTotals, Shard, Snapshot
from hpcobs.storage.connections import watched
from hpcobs.storage.queries import load
from hpcobs.storage.session import Session
from hpcobs.storage.timings import BUCKETS_SECONDS, ErrorType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from hpcobs.ports.scrape import Row
    from hpcobs.storage.connections import Connection, Connections
    from hpcobs.storage.timings import OperationTimings

_SCRAPE = load("scrape")

SILENCE_SECONDS = 1.75
"""The silence after which a scrape fails: its client should have a response within two seconds."""

_ROWS_AT_ONCE = 1000
# libpq before version 17 streams rows one at a time only.
_ROWS_A_RESULT = _ROWS_AT_ONCE if psycopg.capabilities.has_stream_chunked() else 1


class PostgresScrape:
    """See ``hpcobs.ports.scrape.ScrapeSource``."""

    def __init__(
        self,
        connections: Connections,
        timings: OperationTimings,
        *,
        home_cluster: str,
        stale_after: timedelta = timedelta(minutes=30),
    ) -> None:
        self._session = Session(connections.connection, timings)
        self._home_cluster = home_cluster
        self._stale_after = stale_after

    @contextmanager
    def snapshot(self, groups: frozenset[str], shard: Shard = WHOLE) -> Iterator[Snapshot]:
        """Lend the rows of the groups and the shard, all from one moment, within the context."""
        with self._session.operation("scrape") as connection, ExitStack() as opened:
            # Up to the yield only: the caller reads the queue's depth next, and each stream of rows
            # is watched when it is read.
            with watched(connection, seconds=SILENCE_SECONDS):
                opened.enter_context(connection.transaction())
                connection.execute(_SCRAPE["begin"], prepare=False)
                site = {"home": self._home_cluster, "stale_after": self._stale_after}
                snapshot = _snapshot(connection, groups, shard, site)
            yield snapshot


def _snapshot(
    connection: Connection, groups: frozenset[str], shard: Shard, site: dict[str, Any]
) -> Snapshot:
    part = {**site, "shard": shard.index, "shards": shard.count}

    def streamed(name: str, group: str) -> Iterator[Row]:
        if group in groups:
            yield from _streamed(connection, _SCRAPE[name], part)

    def fetched(name: str) -> list[Any]:
        return connection.execute(_SCRAPE[name], part).fetchall()

    service = "service" in groups
    return Snapshot(
        groups=groups,
        shard=shard,
        job_nodes=streamed("job_nodes", "jobs"),
        jobs=streamed("jobs", "jobs"),
        gpus=streamed("gpus", "gpus"),
        nodes=streamed("nodes", "nodes"),
        counters=dict(fetched("counters")),
        stale_jobs=fetched("stale")[0][0] if "jobs" in groups else 0,
        gauges=dict(fetched("gauges")) if service else {},
        held=fetched("held") if service else (),
        operations=[
            OperationTotals(operation=operation, observations=observations, seconds=seconds)
            for operation, observations, seconds in fetched("operations")
        ]
        if service
        else (),
        bucket_bounds=BUCKETS_SECONDS,
        error_types=tuple(ErrorType),
    )


def _streamed(connection: Connection, query: bytes, parameters: dict[str, Any]) -> Iterator[Row]:
    rows = connection.cursor().stream(query, parameters, size=_ROWS_A_RESULT)
    with watched(connection, seconds=SILENCE_SECONDS) as received:
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            received()
            yield from chunk
