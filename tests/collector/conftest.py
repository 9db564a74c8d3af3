"""Collector tests run the real services on the real database and its queue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from hpcobs.queue.postgres import PostgresQueue
from hpcobs.service.collection import Collection, CollectionReport, CollectionRules
from hpcobs.service.ingestion import Ingestion
from hpcobs.service.job_events import JobEvents
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, ORIGIN, started
from tests.collector.batches import Sent
from tests.stores import Query, connect, make_store, query, store, timings

__all__ = ["connect", "make_store", "query", "store", "timings"]

RULES = CollectionRules(home_cluster="lab", interval_seconds=3600, retention_days=7)
STATISTICS = (
    *("sample_count", "avg_cpu_usage", "max_cpu_usage", "max_memory_usage_mb", "avg_gpu_usage"),
    *("max_gpu_usage", "cpu_usage", "memory_usage_mb"),
)


class Site:
    """A site's service without its HTTP edge."""

    def __init__(self, connect: Callable[[], SingleConnection], query: Query) -> None:
        self.connect = connect
        self.query = query
        self.sent = Sent()
        self.queue = PostgresQueue(connect())
        self.ingestion = Ingestion(self.queue, home_cluster="lab")
        self.events = JobEvents(PostgresStore(connect(), OperationTimings()), ORIGIN)

    def start_jobs(self, *job_ids: str, **fields: Any) -> None:
        for job_id in job_ids:
            self.events.job_started(started(job_id=job_id, **fields), AUDIT)

    def post(self, *bodies: bytes) -> None:
        for body in bodies:
            self.ingestion.accept(body, principal_node=None)

    def collect(self, **rules: Any) -> CollectionReport:
        """Run one pass of a collector on new connections."""
        with closing(self.connect()) as of_queue, closing(self.connect()) as of_writer:
            writer = PostgresSampleWriter(of_writer, OperationTimings())
            return Collection(PostgresQueue(of_queue), writer, RULES, **rules).run(lambda: 60.0)

    def statistics(self, job_id: str) -> dict[str, Any]:
        (row,) = self.query(f"SELECT {', '.join(STATISTICS)} FROM jobs WHERE id = %s", job_id)
        return dict(zip(STATISTICS, row, strict=True))

    def check(self, *job_ids: str) -> None:
        """Check that the jobs' statistics and the number of stored samples match what was sent."""
        for job_id in job_ids:
            expected = self.sent.expected(job_id)
            found = self.statistics(job_id)
            assert {name: found[name] for name in expected} == pytest.approx(expected)
        stored = self.query("SELECT count(*) FROM metric_samples")
        assert stored == [(sum(key[0] in job_ids for key in self.sent.samples),)]

    def counter(self, name: str) -> float:
        rows = self.query("SELECT value FROM counter_values WHERE name = %s", name)
        return float(rows[0][0]) if rows else 0.0


@pytest.fixture
def site(connect: Callable[[], SingleConnection], query: Query) -> Site:
    return Site(connect, query)
