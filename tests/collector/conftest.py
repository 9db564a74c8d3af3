"""Collector tests run the real services on the real database and its queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from hpcobs.domain.queries import SeriesQuery
from hpcobs.domain.samples import SamplePoint
from hpcobs.queue.postgres import PostgresQueue
from hpcobs.service.collection import (
    WAIT_FOR_JOB,
    Collection,
    CollectionReport,
    CollectionRules,
)
from hpcobs.service.ingestion import Ingestion
from hpcobs.service.job_events import JobEvents
from hpcobs.service.rejected import Rejected
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.rejected import PostgresRejected
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.rollups import PostgresRollups
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
        self.connection = connect()
        self.store = PostgresStore(self.connection, OperationTimings())
        self.events = JobEvents(self.store, ORIGIN)

    def start_jobs(self, *job_ids: str, **fields: Any) -> None:
        for job_id in job_ids:
            self.events.job_started(started(job_id=job_id, **fields), AUDIT)

    def post(self, *bodies: bytes) -> None:
        for body in bodies:
            self.ingestion.accept(body, principal_node=None)

    def collect(self, *, retention_days: int = 7, **parts: Any) -> CollectionReport:
        """Run one pass of a collector on new connections."""
        rules = replace(RULES, retention_days=retention_days)
        with closing(self.connect()) as of_queue, closing(self.connect()) as of_writer:
            writer = PostgresSampleWriter(of_writer, OperationTimings())
            return Collection(PostgresQueue(of_queue), writer, rules, **parts).run(lambda: 60.0)

    def age_waiting(self) -> None:
        """Let the waiting samples have waited for so long that they are overdue."""
        self.query("UPDATE waiting_samples SET since = since - %s", WAIT_FOR_JOB)

    def rejected(self, *, retention_days: int = 7) -> Rejected:
        """Make the use cases of rejected samples."""
        timings, connection = OperationTimings(), self.connection
        writer = PostgresSampleWriter(connection, timings)
        rules = replace(RULES, retention_days=retention_days)
        return Rejected(PostgresRejected(connection, timings), writer, rules)

    def drop_days(self, before: datetime, *tables: str) -> None:
        """Roll up and drop the days of samples before one, the oldest first, as retention does."""
        rollups = PostgresRollups(self.connection, OperationTimings())
        for hour in rollups.due(before):
            assert rollups.roll(hour)
        expiry = PostgresExpiry(self.connection, OperationTimings(), sleep=lambda _: None)
        for table in tables or ("metric_samples", "gpu_samples"):
            for day in expiry.partitions(table):
                if day < before.date():
                    assert expiry.drop_partition(table, day)

    def statistics(self, job_id: str) -> dict[str, Any]:
        (row,) = self.query(f"SELECT {', '.join(STATISTICS)} FROM jobs WHERE id = %s", job_id)
        return dict(zip(STATISTICS, row, strict=True))

    def hourly(self, job_id: str) -> Sequence[SamplePoint]:
        """Return the job's series by the hour, from roll-ups and samples."""
        return self.store.samples.series(job_id, SeriesQuery(resolution_seconds=3600))[0]

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
