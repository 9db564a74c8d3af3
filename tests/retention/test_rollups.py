"""Roll-ups exist before samples are dropped, and equal them after repeats, delays and removals."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.queries import SeriesQuery
from hpcobs.domain.rollups import closed_before
from hpcobs.domain.samples import Sample
from hpcobs.service.retention import Retention, RetentionLimits, RetentionReport
from hpcobs.storage.queries import load
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.samples import _parameters
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, T0, at, running_job
from tests.clocks import move_database_clock, set_database_clock
from tests.retention.rolling import write_batch
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from hpcobs.storage.connections import SingleConnection
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query

LIMITS = RetentionLimits(samples_days=7, rollup_days=400, audit_days=400)
HOURLY = SeriesQuery(resolution_seconds=3600)
LATER = T0 + timedelta(days=9)
ROWS = "SELECT ctid::text, tableoid, * FROM metric_rollups ORDER BY tableoid, ctid"


@pytest.fixture(autouse=True)
def database_clock(database_url: str) -> None:
    set_database_clock(database_url, LATER)


@pytest.fixture
def rollups(connect: Callable[[], SingleConnection]) -> PostgresRollups:
    return PostgresRollups(connect(), OperationTimings())


@pytest.fixture
def writer(connect: Callable[[], SingleConnection], store: PostgresStore) -> PostgresSampleWriter:
    store.jobs.create(running_job(), AUDIT)
    return PostgresSampleWriter(connect(), OperationTimings())


def sample(seconds: float, cpu: float, job_id: str = "1") -> Sample:
    return Sample(job_id, at(seconds), "n1", cpu, 100, gpu_usage=cpu)


@pytest.fixture
def retain(
    rollups: PostgresRollups, connect: Callable[[], SingleConnection], database_url: str
) -> Callable[..., RetentionReport]:
    expiry = PostgresExpiry(connect(), OperationTimings(), sleep=lambda _: None)

    def run(now: datetime, *, seconds: float = 60.0, dry_run: bool = False) -> RetentionReport:
        move_database_clock(database_url, now)
        return Retention(expiry, rollups, LIMITS, clock=lambda: now).run(
            lambda: seconds, dry_run=dry_run
        )

    return run


def averages(store: PostgresStore) -> list[tuple[float, int | None]]:
    points, _ = store.samples.series("1", HOURLY)
    return [(point.cpu_usage, point.count) for point in points]


@pytest.mark.parametrize(("minute", "hour"), [(14, 8), (15, 9), (59, 9)])
def test_hour_closes_fifteen_minutes_after_end(minute: int, hour: int) -> None:
    assert closed_before(T0.replace(hour=9, minute=minute)) == T0.replace(hour=hour)


def test_samples_are_dropped_after_roll_up(
    store: PostgresStore,
    writer: PostgresSampleWriter,
    retain: Callable[..., RetentionReport],
    query: Query,
) -> None:
    writer.store(write_batch([sample(0, 10), sample(10, 30), sample(3600, 50)]))
    planned = retain(LATER, dry_run=True)
    assert (planned.rolled_hours, len(planned.dropped)) == (2, 2)
    assert query("SELECT count(*) FROM metric_rollups") == [(0,)]
    done = retain(LATER)
    assert (done.rolled_hours, done.dropped) == (planned.rolled_hours, planned.dropped)
    assert query("SELECT count(*) FROM metric_samples") == [(0,)]
    assert averages(store) == [(20, 2), (50, 1)]
    (first, _), total = store.samples.gpu_series("1", HOURLY)
    assert (first.utilization_percent, first.utilization_percent_max, total) == (20, 30, 2)
    assert store.samples.series("1", SeriesQuery()) == ([], 0)


def test_open_hour_is_not_rolled_up(
    writer: PostgresSampleWriter, retain: Callable[..., RetentionReport]
) -> None:
    writer.store(write_batch([sample(0, 10)]))
    assert retain(at(3600)).rolled_hours == 0
    assert retain(at(3600 + 15 * 60)).rolled_hours == 1


def test_samples_stay_without_roll_up(
    writer: PostgresSampleWriter, retain: Callable[..., RetentionReport], query: Query
) -> None:
    writer.store(write_batch([sample(0, 10)]))
    report = retain(LATER, seconds=6)
    assert not report.finished
    assert report.dropped == []
    assert len(report.busy) == 2
    assert query("SELECT count(*) FROM metric_samples") == [(1,)]


def test_second_roll_up_writes_nothing(
    writer: PostgresSampleWriter, rollups: PostgresRollups, query: Query
) -> None:
    batch = write_batch([sample(0, 10), sample(400, 30)])
    writer.store(batch)
    assert rollups.roll(T0)
    rows = query(ROWS)
    assert len(rows) == 3
    writer.store(batch)
    assert rollups.due(LATER) == [T0]
    assert rollups.roll(T0)
    assert rollups.due(LATER) == []
    assert query(ROWS) == rows


def test_late_sample_shows_before_next_roll_up(
    store: PostgresStore,
    writer: PostgresSampleWriter,
    retain: Callable[..., RetentionReport],
    query: Query,
) -> None:
    writer.store(write_batch([sample(0, 10), sample(10, 30)]))
    retain(at(7200))
    writer.store(write_batch([sample(20, 80)]))
    assert averages(store) == [(40, 3)]
    assert retain(at(7300)).rolled_hours == 1
    query("DELETE FROM metric_samples")
    assert averages(store) == [(40, 3)]


def test_sample_stored_during_roll_up_is_noted(
    store: PostgresStore, writer: PostgresSampleWriter, rollups: PostgresRollups, database_url: str
) -> None:
    writer.store(write_batch([sample(0, 10)]))
    with psycopg.connect(database_url) as storing:
        storing.execute(
            "INSERT INTO metric_samples (job_id, timestamp, node, cpu_usage, memory_usage_mb)"
            " VALUES ('1', %s, 'n1', 30, 100)",
            [at(5)],
        )
        storing.execute("INSERT INTO unrolled_hours VALUES (%s)", [T0])
        assert rollups.due(LATER) == [T0]
        assert rollups.roll(T0)
        assert averages(store) == [(10, 1)]
        storing.commit()
    assert averages(store) == [(20, 2)]
    assert rollups.due(LATER) == [T0]
    assert rollups.roll(T0)
    assert averages(store) == [(20, 2)]


def test_late_sample_changes_no_sealed_hour(
    store: PostgresStore, writer: PostgresSampleWriter, retain: Callable[..., RetentionReport]
) -> None:
    writer.store(write_batch([sample(0, 10), sample(10, 30)]))
    retain(LATER)
    writer.store(write_batch([sample(20, 99)]))
    assert retain(LATER).rolled_hours == 1
    assert averages(store) == [(20, 2)]


def test_parallel_roll_ups_exclude_each_other(
    writer: PostgresSampleWriter, rollups: PostgresRollups, database_url: str
) -> None:
    writer.store(write_batch([sample(0, 10)]))
    with psycopg.connect(database_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('hpcobs roll-ups'))")
        assert not rollups.roll(T0)
        assert rollups.due(LATER) == [T0]
    assert rollups.roll(T0)


def test_deleted_job_loses_roll_ups(
    store: PostgresStore, writer: PostgresSampleWriter, rollups: PostgresRollups, query: Query
) -> None:
    store.jobs.create(running_job(job_id="2"), AUDIT)
    writer.store(write_batch([sample(0, 10), sample(0, 10, job_id="2")]))
    assert rollups.roll(T0)
    store.jobs.delete("1", AUDIT)
    for table in ("metric_rollups", "gpu_rollups"):
        assert query(f"SELECT DISTINCT job_id FROM {table}") == [("2",)]


def test_job_deleted_during_roll_up_leaves_nothing(
    store: PostgresStore,
    writer: PostgresSampleWriter,
    rollups: PostgresRollups,
    query: Query,
    database_url: str,
) -> None:
    writer.store(write_batch([sample(0, 10)]))
    query("SELECT ensure_month_partition('gpu_rollups', %s)", T0.date())
    with psycopg.connect(database_url) as blocking:
        # The very row that the roll-up will want to write: it waits here, all aggregated.
        blocking.execute(
            "INSERT INTO gpu_rollups (timestamp, seconds, sample_count, utilization_count,"
            " memory_used_count, power_count, temperature_count, job_id, node, gpu_id, gpu_vendor)"
            " VALUES (%s, 300, 1, 1, 1, 0, 0, '1', 'n1', '0', 'nvidia')",
            [T0],
        )
        rolling = Thread(target=rollups.roll, args=[T0])
        rolling.start()
        waiting = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'transactionid'"
        eventually(lambda: query(waiting) == [(True,)])
        assert store.jobs.delete("1", AUDIT)
        blocking.rollback()
    rolling.join(WAIT_SECONDS)
    assert not rolling.is_alive()
    assert query("SELECT count(*) FROM metric_rollups") == [(2,)]
    assert rollups.due(LATER) == [T0]
    assert rollups.roll(T0)
    assert query("SELECT count(*) FROM metric_rollups") == [(0,)]
    assert query("SELECT count(*) FROM gpu_rollups") == [(0,)]


def test_dropped_samples_are_read_from_roll_ups(
    store: PostgresStore, writer: PostgresSampleWriter, retain: Callable[..., RetentionReport]
) -> None:
    writer.store(write_batch([sample(0, 10), sample(299, 30), sample(300, 50)]))
    retain(LATER)
    requested = SeriesQuery(start=at(100), end=at(310), resolution_seconds=60)
    points, total = store.samples.series("1", requested)
    assert [(p.timestamp, p.cpu_usage, p.count) for p in points] == [(T0, 20, 2), (at(300), 50, 1)]
    assert total == 2


def test_chart_of_rolled_hours_reads_no_samples(
    writer: PostgresSampleWriter, rollups: PostgresRollups, query: Query, database_url: str
) -> None:
    # Reading the whole range at once may look cheaper to PostgreSQL than reading it by parts.
    writer.store(write_batch([sample(0, 10)]))
    query(
        "INSERT INTO metric_samples (job_id, timestamp, node, cpu_usage, memory_usage_mb)"
        " SELECT job::text, %s + n * interval '7 seconds', 'n1', 1, 1"
        " FROM generate_series(1, 7000) AS n, generate_series(1, 20) AS job",
        T0,
    )
    query("ANALYZE metric_samples")
    rollups.due(LATER)
    assert rollups.roll(T0)
    parameters = _parameters("1", SeriesQuery(start=T0, resolution_seconds=3600))
    with psycopg.connect(database_url) as connection:
        connection.execute("SET random_page_cost = 50")
        statement = b"EXPLAIN (ANALYZE, COSTS OFF) " + load("samples")["buckets"]
        lines = connection.execute(statement, parameters, prepare=False).fetchall()
    of_samples = [line for (line,) in lines if "on metric_samples_" in line]
    assert of_samples
    assert all("never executed" in line or "rows=0.00" in line for line in of_samples)
