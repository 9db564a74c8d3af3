"""Series are read oldest first, raw or by interval, and only from the requested days."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.queries import SeriesQuery
from hpcobs.domain.samples import Sample
from hpcobs.storage.queries import load
from hpcobs.storage.samples import _parameters
from tests.builders import AUDIT, T0, at, running_job

if TYPE_CHECKING:
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query


TABLES = ["metric_samples", "gpu_samples"]


@pytest.fixture
def job(store: PostgresStore) -> str:
    """Create a job on two nodes and two days, with a sample each ten seconds. Return its id."""
    store.jobs.create(running_job(nodes=("n1", "n2")), AUDIT)
    with store.transaction() as work:
        for number in range(6):
            for node, memory in (("n1", 100), ("n2", 300)):
                cpu = float(number if node == "n1" else 10 + number)
                work.samples.add(Sample("1", at(number * 10), node, cpu, memory, gpu_usage=cpu))
        work.samples.add(Sample("1", at(86_400), "n1", 50.0, 1))
        work.commit()
    return "1"


def test_sample_counts_once_and_updates_job(store: PostgresStore) -> None:
    store.jobs.create(running_job(), AUDIT)
    sample = Sample("1", at(5), "n1", 40.0, 128, gpu_usage=10.0)
    with store.transaction() as work:
        assert work.samples.add(sample)
        assert not work.samples.add(sample._replace(cpu_usage=99.0))
        assert work.samples.add(sample._replace(timestamp=at(1), cpu_usage=20.0, gpu_usage=None))
        work.commit()
    job = store.jobs.get("1")
    assert job is not None
    usage = job.usage
    assert (usage.sample_count, usage.avg_cpu_usage, usage.max_cpu_usage) == (2, 30.0, 40.0)
    assert (usage.cpu_usage, usage.memory_usage_mb, usage.last_sample_at) == (40.0, 128, at(5))
    assert (usage.avg_gpu_usage, usage.max_gpu_usage) == (10.0, 10.0)


def test_raw_samples_are_oldest_first(store: PostgresStore, job: str) -> None:
    points, total = store.samples.series(job, SeriesQuery(limit=3))
    assert [(p.timestamp, p.node, p.cpu_usage) for p in points] == [
        (at(0), "n1", 0),
        (at(0), "n2", 10),
        (at(10), "n1", 1),
    ]
    assert total == 13


def test_time_range_excludes_its_end(store: PostgresStore, job: str) -> None:
    query = SeriesQuery(start=at(10), end=at(30), node="n1")
    points, total = store.samples.series(job, query)
    assert [p.timestamp for p in points] == [at(10), at(20)]
    assert total == 2


def test_buckets_average_nodes_and_sum_memory(store: PostgresStore, job: str) -> None:
    query = SeriesQuery(resolution_seconds=30, end=at(60))
    (first, second), total = store.samples.series(job, query)
    assert total == 2
    assert (first.timestamp, first.cpu_usage, first.cpu_usage_max) == (T0, 6.0, 12.0)
    assert (first.memory_usage_mb, first.memory_usage_mb_max) == (400.0, 400.0)
    assert (first.gpu_usage, first.gpu_usage_max, first.count) == (6.0, 12.0, 6)
    assert (second.timestamp, second.cpu_usage) == (at(30), 9.0)


def test_buckets_weigh_nodes_as_job_does(store: PostgresStore, job: str, query: Query) -> None:
    query("UPDATE job_nodes SET allocated_cpus = CASE node WHEN 'n1' THEN 3 ELSE 1 END")
    for gpu in ("0", "1"):
        query("INSERT INTO job_gpus VALUES (%s, 'n2', %s, 'nvidia', now())", job, gpu)
    (point, _), _ = store.samples.series(job, SeriesQuery(resolution_seconds=30, end=at(60)))
    assert point.cpu_usage == (3 * (0 + 1 + 2) + (10 + 11 + 12)) / (3 * 3 + 3)
    assert point.gpu_usage == ((0 + 1 + 2) + 2 * (10 + 11 + 12)) / (3 + 2 * 3)


def test_job_without_samples_has_empty_series(store: PostgresStore) -> None:
    store.jobs.create(running_job(), AUDIT)
    assert store.samples.series("1", SeriesQuery()) == ([], 0)
    assert store.samples.gpu_series("1", SeriesQuery(resolution_seconds=60)) == ([], 0)


def test_each_gpu_has_its_series(store: PostgresStore, job: str, query: Query) -> None:
    query("SELECT ensure_day_partition('gpu_samples', %s)", T0.date())
    for second, percent in ((0, 10), (10, 30)):
        query(
            "INSERT INTO gpu_samples (job_id, timestamp, node, gpu_id, gpu_vendor,"
            " utilization_percent, memory_used_mb) VALUES (%s, %s, 'n1', '0', 'nvidia', %s, 5)",
            job,
            at(second),
            percent,
        )
    raw, total = store.samples.gpu_series(job, SeriesQuery())
    assert [(p.gpu_id, p.utilization_percent, p.power_watts) for p in raw] == [
        ("0", 10, None),
        ("0", 30, None),
    ]
    assert total == 2
    (point,), _ = store.samples.gpu_series(job, SeriesQuery(resolution_seconds=60))
    assert (point.utilization_percent, point.utilization_percent_max, point.count) == (20, 30, 2)


@pytest.mark.parametrize("name", ["series", "buckets", "gpu_series", "gpu_buckets"])
def test_series_reads_requested_days_by_key(
    job: str, query: Query, database_url: str, name: str
) -> None:
    for ahead in range(20):
        day = T0.date() + timedelta(days=ahead)
        query("SELECT ensure_day_partition(p, %s) FROM unnest(%s::text[]) AS p", day, TABLES)
    first_hour = SeriesQuery(start=at(0), end=at(3600), resolution_seconds=60)
    with psycopg.connect(database_url) as connection:
        statement = b"EXPLAIN " + load("samples")[name]
        rows = connection.execute(statement, _parameters(job, first_hour)).fetchall()
    plan = "\n".join(row[0] for row in rows)
    assert "20261102" in plan
    assert "20261103" not in plan
    assert "Index" in plan
