"""Partitions are created ahead and dropped behind, old rows are deleted in batches, none waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.ports.retention import Held, Reason
from hpcobs.service.deletion import BATCH
from hpcobs.service.retention import Retention, RetentionLimits
from hpcobs.storage.queries import load
from hpcobs.storage.retention import DROP_ATTEMPTS, PostgresExpiry
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, T0, running_job
from tests.clocks import move_database_clock
from tests.retention.writer import Writer
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import SingleConnection
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query

pytestmark = pytest.mark.usefixtures("clock_at_t0")

TODAY = T0.date()
LIMITS = RetentionLimits(samples_days=7, rollup_days=60, audit_days=400)


def plenty() -> float:
    return 60.0


@pytest.fixture
def expiry(connect: Callable[[], SingleConnection]) -> PostgresExpiry:
    return PostgresExpiry(connect(), OperationTimings(), sleep=lambda _: None)


@pytest.fixture
def retention(expiry: PostgresExpiry, connect: Callable[[], SingleConnection]) -> Retention:
    rollups = PostgresRollups(connect(), OperationTimings())
    return Retention(expiry, rollups, LIMITS, clock=lambda: T0)


def days(*offsets: int) -> list[date]:
    return [TODAY + timedelta(days=offset) for offset in offsets]


def test_coming_days_are_created_once(retention: Retention, expiry: PostgresExpiry) -> None:
    first = retention.run(plenty)
    assert len(first.made) == 10
    assert expiry.partitions("metric_rollups") == [date(2026, 11, 1)]
    assert expiry.partitions("metric_samples") == days(0, 1, 2, 3)
    assert expiry.partitions("gpu_samples") == days(0, 1, 2, 3)
    assert retention.run(plenty).made == []


def test_one_expired_day_is_dropped_each_run(retention: Retention, expiry: PostgresExpiry) -> None:
    for day in days(-9, -8, -7, -6):
        expiry.ensure_partition("metric_samples", day)
    for number, day in enumerate(days(-9, -8)):
        report = retention.run(plenty)
        assert report.dropped == [f"metric_samples {day}"]
        assert report.held == [Held("metric_samples", Reason.PACE, 1)][number:]
    assert retention.run(plenty).dropped == []
    assert expiry.partitions("metric_samples") == days(-7, -6, 0, 1, 2, 3)


def test_one_expired_month_is_dropped_each_run(
    retention: Retention, expiry: PostgresExpiry
) -> None:
    for month in (7, 8, 9, 10):
        expiry.ensure_partition("gpu_rollups", date(2026, month, 15))
    assert retention.run(plenty).dropped == ["gpu_rollups 2026-07-01"]
    assert retention.run(plenty).dropped == ["gpu_rollups 2026-08-01"]
    kept = [date(2026, month, 1) for month in (9, 10, 11)]
    assert expiry.partitions("gpu_rollups") == kept


def test_roll_ups_stay_until_samples_are_dropped(
    retention: Retention, expiry: PostgresExpiry
) -> None:
    july = date(2026, 7, 1)
    expiry.ensure_partition("metric_rollups", july)
    for day in (30, 31):
        expiry.ensure_partition("metric_samples", date(2026, 7, day))
    planned = retention.run(plenty, dry_run=True)
    report = retention.run(plenty)
    assert planned.dropped == report.dropped == ["metric_samples 2026-07-30"]
    assert Held("metric_rollups", Reason.PACE, 31) in report.held
    confirmed = retention.run(plenty, dry_run=True, confirm=True)
    assert confirmed.dropped == ["metric_samples 2026-07-31", f"metric_rollups {july}"]
    assert retention.run(plenty).dropped == confirmed.dropped


def test_confirmed_run_drops_all_expired_days(retention: Retention, expiry: PostgresExpiry) -> None:
    for day in days(-30, -9, -8, -7):
        expiry.ensure_partition("metric_samples", day)
    planned = retention.run(plenty, dry_run=True, confirm=True)
    report = retention.run(plenty, confirm=True)
    assert report.dropped == [f"metric_samples {day}" for day in days(-30, -9, -8)]
    assert (planned.dropped, planned.held) == (report.dropped, report.held)
    assert report.held == []


def test_next_month_is_created_in_advance(
    expiry: PostgresExpiry, connect: Callable[[], SingleConnection], database_url: str
) -> None:
    rollups = PostgresRollups(connect(), OperationTimings())
    last_days = datetime(2026, 11, 28, tzinfo=UTC)
    move_database_clock(database_url, last_days)
    Retention(expiry, rollups, LIMITS, clock=lambda: last_days).run(plenty)
    assert expiry.partitions("gpu_rollups") == [date(2026, 11, 1), date(2026, 12, 1)]


def test_dry_run_changes_nothing(
    retention: Retention, expiry: PostgresExpiry, query: Query
) -> None:
    expiry.ensure_partition("gpu_samples", TODAY - timedelta(days=20))
    audit(query, 3, age_days=401)
    report = retention.run(plenty, dry_run=True)
    assert report.dropped == [f"gpu_samples {TODAY - timedelta(days=20)}"]
    assert report.deleted == {"audit": 3, "rejected": 0, "dead": 0, "held_starts": 0}
    assert expiry.partitions("gpu_samples") == days(-20)
    assert query("SELECT count(*) FROM job_audit_events") == [(3,)]


def audit(query: Query, rows: int, *, age_days: float) -> None:
    query(
        "INSERT INTO job_audit_events (job_id, change_type, changed_at, changed_by, source,"
        " correlation_id, job_snapshot) SELECT '1', 'update', %s, 'x', 'x', 'x', '{}'"
        " FROM generate_series(1, %s)",
        T0 - timedelta(days=age_days),
        rows,
    )


def test_audit_rows_have_their_retention(retention: Retention, query: Query) -> None:
    audit(query, BATCH + 1, age_days=401)
    audit(query, 5, age_days=399)
    assert retention.run(plenty).deleted["audit"] == BATCH + 1
    assert query("SELECT count(*) FROM job_audit_events") == [(5,)]


def test_audit_rows_expire_day_by_day(retention: Retention, query: Query) -> None:
    for age in (800, 799.5, 798.5, 410, 405, 401, 399):
        audit(query, 1, age_days=age)
    held = []
    for count in (2, 1, 1, 1, 1, 0):
        planned = retention.run(plenty, dry_run=True)
        done = retention.run(plenty)
        assert planned.deleted["audit"] == done.deleted["audit"] == count
        assert planned.held == done.held
        held.append([(one.reason, one.days) for one in done.held])
    pace = Reason.PACE
    assert held == [[(pace, 398.5)], [(pace, 10)], [(pace, 5)], [(pace, 1)], [], []]


def test_audit_row_from_wrong_clock_stays(retention: Retention, query: Query) -> None:
    for age in (401, 5, 500, -30, 450):
        audit(query, 1, age_days=age)
    for _ in range(3):
        retention.run(plenty)
    assert query("SELECT count(*) FROM job_audit_events") == [(4,)]


def test_audit_rows_from_future_hold_nothing_back(retention: Retention, query: Query) -> None:
    audit(query, BATCH + 1, age_days=-800)
    audit(query, 2, age_days=402)
    audit(query, 1, age_days=400.5)
    assert [retention.run(plenty).deleted["audit"] for _ in range(3)] == [2, 1, 0]


def test_run_without_time_reports_unfinished(retention: Retention, query: Query) -> None:
    audit(query, 5, age_days=401)
    report = retention.run(lambda: 1.0)
    assert not report.finished
    assert query("SELECT count(*) FROM job_audit_events") == [(5,)]


def test_day_in_use_is_dropped_later(
    retention: Retention, expiry: PostgresExpiry, database_url: str
) -> None:
    expiry.ensure_partition("metric_samples", TODAY - timedelta(days=9))
    with psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM metric_samples")
        report = retention.run(plenty)
    assert report.busy == [f"metric_samples {TODAY - timedelta(days=9)}"]
    assert report.dropped == []
    assert retention.run(plenty).dropped == [f"metric_samples {TODAY - timedelta(days=9)}"]


def test_drop_beside_writer_succeeds(
    retention: Retention, expiry: PostgresExpiry, database_url: str
) -> None:
    for day in days(-10, -9, -8, 0):
        expiry.ensure_partition("metric_samples", day)
    with Writer(database_url) as writer:
        report = retention.run(plenty)
    assert report.dropped
    assert writer.written > 0


def test_waiting_drop_blocks_no_writer(
    connect: Callable[[], SingleConnection], database_url: str
) -> None:
    writer = Writer(database_url)
    written: list[int] = []

    def wait_for_writer(_: float) -> None:
        before = writer.written
        eventually(lambda: writer.written > before)
        written.append(writer.written)

    expiry = PostgresExpiry(connect(), OperationTimings(), sleep=wait_for_writer)
    expired, today = days(-9, 0)
    for day in (expired, today):
        expiry.ensure_partition("metric_samples", day)
    # No attempt gets its lock while the reader's transaction is open.
    with writer, psycopg.connect(database_url) as reader:
        reader.execute("SELECT count(*) FROM metric_samples")
        assert not expiry.drop_partition("metric_samples", expired)
    assert len(written) == DROP_ATTEMPTS - 1
    assert expiry.drop_partition("metric_samples", expired)


def test_foreign_partition_is_not_dropped(
    retention: Retention, expiry: PostgresExpiry, query: Query
) -> None:
    query("CREATE TABLE imported (LIKE metric_samples)")
    query(
        "ALTER TABLE metric_samples ATTACH PARTITION imported"
        " FOR VALUES FROM ('2001-01-01Z') TO ('2002-01-01Z')"
    )
    assert retention.run(plenty).dropped == []
    assert expiry.partitions("metric_samples") == days(0, 1, 2, 3)


@pytest.mark.parametrize(
    ("kind", "insert"),
    [
        ("rejected", "INSERT INTO rejected_samples VALUES (%s, 0, 'n1', '1', 'bad', '{}', %s)"),
        ("dead", "INSERT INTO sample_queue_dead VALUES (%s, '', now(), 5, 'bad', %s)"),
    ],
)
def test_rejected_samples_and_dead_letters_expire(
    retention: Retention, query: Query, kind: str, insert: str
) -> None:
    for number, age in enumerate((29, 31, 60)):
        query(insert, number, T0 - timedelta(days=age))
    for expected in (1, 1, 0):
        planned = retention.run(plenty, dry_run=True)
        done = retention.run(plenty)
        assert planned.deleted[kind] == done.deleted[kind] == expected
        assert planned.held == done.held


def test_held_starts_go_after_end_of_job(
    retention: Retention, store: PostgresStore, query: Query
) -> None:
    ends = {"ended": 8, "lately": 6, "running": None, "held lately": 8}
    for job_id, age in ends.items():
        store.jobs.create(running_job(-20 * 86_400, job_id=job_id), AUDIT)
        ended = None if age is None else T0 - timedelta(days=age)
        query("UPDATE jobs SET end_time = %s WHERE id = %s", ended, job_id)
        held = -1 if job_id == "held lately" else -10
        store.jobs.hold_start(job_id, running_job(held * 86_400, job_id=job_id), "n1")
    assert retention.run(plenty, dry_run=True).deleted["held_starts"] == 1
    assert retention.run(plenty).deleted["held_starts"] == 1
    kept = query("SELECT job_id FROM unmatched_starts ORDER BY job_id")
    assert kept == [("held lately",), ("lately",), ("running",)]


def test_surplus_rejected_samples_are_deleted(
    expiry: PostgresExpiry, connect: Callable[[], SingleConnection], query: Query
) -> None:
    query(
        "INSERT INTO rejected_samples SELECT n::text, 0, 'n1', '1', 'bad', '{}',"
        " %s::timestamptz - n * interval '1 day' FROM generate_series(1, 40) AS n",
        T0,
    )
    limits = replace(LIMITS, rejected_rows=12)
    rollups = PostgresRollups(connect(), OperationTimings())
    retention = Retention(expiry, rollups, limits, clock=lambda: T0)
    assert retention.run(plenty, dry_run=True).deleted["rejected"] == 28
    assert retention.run(plenty).deleted["rejected"] == 28
    assert retention.run(plenty).deleted["rejected"] == 0
    kept = query("SELECT batch_id FROM rejected_samples ORDER BY rejected_at DESC")
    assert kept == [(str(number),) for number in range(1, 13)]


def test_expired_audit_rows_are_found_by_key(query: Query) -> None:
    audit(query, 20_000, age_days=1)
    query("ANALYZE job_audit_events")
    statement = load("retention")["delete_audit"].decode()
    for name, value in {"limit": str(BATCH), "before": "'2026-01-01'::timestamptz"}.items():
        statement = statement.replace(f"%({name})s", value)
    plan = "\n".join(line for (line,) in query(f"EXPLAIN {statement}"))
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
