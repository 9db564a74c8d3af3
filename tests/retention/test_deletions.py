"""Deletions and other changes beside roll-ups: none waits in a circle, and nothing is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.lifecycle.outcome import Discard
from hpcobs.domain.samples import Sample
from hpcobs.storage import deleting
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, T0, at, running_job
from tests.clocks import set_database_clock
from tests.retention.rolling import write_batch
from tests.retention.runs import retain_a_day

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hpcobs.storage.connections import SingleConnection
    from tests.stores import Query

TABLES = ("metric_samples", "gpu_samples", "metric_rollups", "gpu_rollups")
ROUNDS = 15
HOT = 2 * 86_400 - 8 * 3600
NODES = ("n1", "n2", "n3", "n4", "n5", "n6")
JOBS = [str(number) for number in range(1, 6)]


@pytest.fixture(autouse=True)
def database_clock(database_url: str) -> None:
    set_database_clock(database_url, T0 + timedelta(days=5))


def samples(job_id: str, seconds: Iterable[int], *nodes: str) -> list[Sample]:
    return [
        Sample(job_id, at(second), node, second % 100, 100, gpu_usage=second % 90)
        for second in seconds
        for node in nodes
    ]


@pytest.mark.parametrize("batch", [1, 7, 1000])
@pytest.mark.parametrize("hours", [50, 80])
def test_deletion_in_batches_leaves_nothing(
    store: PostgresStore,
    connect: Callable[[], SingleConnection],
    query: Query,
    monkeypatch: pytest.MonkeyPatch,
    *,
    batch: int,
    hours: int,
) -> None:
    monkeypatch.setattr(deleting, "BATCH", batch)
    store.jobs.create(running_job(), AUDIT)
    store.jobs.create(running_job(job_id="2"), AUDIT)
    writer = PostgresSampleWriter(connect(), OperationTimings())
    times = range(0, 2 * 86_400, 9000)
    writer.store(write_batch([*samples("1", times, "n1", "n2"), *samples("2", times, "n1")]))
    retain_a_day(connect(), hours=hours)
    assert store.jobs.delete("1", AUDIT)
    for table in TABLES:
        assert query(f"SELECT DISTINCT job_id FROM {table}") in ([("2",)], [])
    assert query("SELECT count(*) FROM metric_rollups WHERE seconds = 300") == [(len(times),)]


def test_deletion_waits_for_no_roll_up(
    store: PostgresStore, connect: Callable[[], SingleConnection], query: Query, database_url: str
) -> None:
    store.jobs.create(running_job(), AUDIT)
    PostgresSampleWriter(connect(), OperationTimings()).store(
        write_batch(samples("1", range(0, 7200, 60), "n1"))
    )
    rollups = PostgresRollups(connect(), OperationTimings())
    for hour in rollups.due(at(7200)):
        assert rollups.roll(hour)
    with psycopg.connect(database_url) as rolling:
        rolling.execute("DELETE FROM unrolled_hours WHERE hour = %s", [T0])
        rolling.execute("UPDATE gpu_rollups SET sample_count = 9 WHERE timestamp = %s", [T0])
        assert store.jobs.delete("1", AUDIT)
        rolling.commit()
    assert query("SELECT DISTINCT timestamp FROM gpu_rollups") == [(T0,)]
    for hour in rollups.due(at(7200)):
        assert rollups.roll(hour)
    for table in TABLES:
        assert query(f"SELECT count(*) FROM {table}") == [(0,)]


def test_pending_removal_keeps_sealed_roll_ups(
    store: PostgresStore, connect: Callable[[], SingleConnection], query: Query
) -> None:
    store.jobs.create(running_job(), AUDIT)
    PostgresSampleWriter(connect(), OperationTimings()).store(
        write_batch(samples("1", range(0, 3600, 60), "n1", "n2"))
    )
    retain_a_day(connect(), hours=72)
    # A sample that was stored too late for its roll-up, and is removed.
    query("SELECT ensure_day_partition('metric_samples', %s)", T0.date())
    query(
        "INSERT INTO metric_samples (job_id, timestamp, node, cpu_usage, memory_usage_mb)"
        " VALUES ('1', %s, 'n2', 1, 1)",
        at(30),
    )
    store.jobs.discard(running_job(), Discard(kept_nodes=("n1",)))
    retain_a_day(connect(), hours=73)
    kept = "SELECT node, sum(sample_count) FROM metric_rollups WHERE seconds = {} GROUP BY node"
    for seconds in (300, 3600):
        assert query(kept.format(seconds)) == [("n1", 60)]


@pytest.mark.parametrize(("before", "until"), [(600, 3000), (600, 600), (600, 4200), (0, 7199)])
def test_two_boundaries_sum_each_hour_once(
    store: PostgresStore,
    connect: Callable[[], SingleConnection],
    query: Query,
    before: int,
    until: int,
) -> None:
    store.jobs.create(running_job(), AUDIT)
    PostgresSampleWriter(connect(), OperationTimings()).store(
        write_batch(samples("1", range(0, 7200, 60), "n1", "n2"))
    )
    retain_a_day(connect(), hours=72)
    assert query("SELECT count(*) FROM metric_samples") == [(0,)]
    wrong = Discard(kept_nodes=("n1",), before=at(before), until=at(until))
    store.jobs.discard(running_job(), wrong)
    for table in ("metric_rollups", "gpu_rollups"):
        hourly, fine = (
            query(
                "SELECT node, date_bin('1 hour', timestamp, 'epoch'), sum(sample_count)"
                f" FROM {table} WHERE seconds = {seconds} GROUP BY 1, 2 ORDER BY 1, 2"
            )
            for seconds in (3600, 300)
        )
        assert hourly == fine


class Work:
    """What changes the roll-ups of a few jobs, each kind for a thread."""

    def __init__(self, connect: Callable[[], SingleConnection]) -> None:
        self.connect = connect
        self.done = Event()

    def store_dropped_day(self) -> None:
        with closing(self.connect()) as connection:
            jobs = PostgresStore(connection, OperationTimings()).jobs
            for job_id in JOBS:
                jobs.create(running_job(job_id=job_id), AUDIT)
            sent = [one for job in JOBS for one in samples(job, range(0, 9000, 100), *NODES)]
            PostgresSampleWriter(connection, OperationTimings()).store(write_batch(sent))
            retain_a_day(connection, hours=50)

    def store(self) -> None:
        with closing(self.connect()) as connection:
            jobs = PostgresStore(connection, OperationTimings()).jobs
            writer = PostgresSampleWriter(connection, OperationTimings())
            for number in range(ROUNDS):
                for job_id in JOBS:
                    jobs.create(running_job(job_id=job_id), AUDIT)
                # Hours that are rolled up again and again.
                times = range(HOT + number * 7, HOT + 7200, 300)
                sent = [one for job in JOBS for one in samples(job, times, *NODES)]
                writer.store(write_batch(sent))

    def discard(self) -> None:
        with closing(self.connect()) as connection:
            store = PostgresStore(connection, OperationTimings())
            for number in range(ROUNDS):
                with store.transaction() as work:
                    job = work.jobs.lock(JOBS[number % len(JOBS)])
                    if job is not None:
                        edge = at(number % 2 * HOT + 100 * number)
                        work.jobs.discard(job, Discard(kept_nodes=("n1",), since=edge))
                        work.jobs.discard(job, Discard(kept_nodes=("n1", "n2"), before=edge))
                    work.commit()

    def delete(self) -> None:
        with closing(self.connect()) as connection:
            jobs = PostgresStore(connection, OperationTimings()).jobs
            for number in range(3 * ROUNDS):
                jobs.delete(JOBS[number % len(JOBS)], AUDIT)

    def roll(self) -> None:
        with closing(self.connect()) as connection:
            rollups = PostgresRollups(connection, OperationTimings())
            while not self.done.is_set():
                for hour in rollups.due(at(HOT + 7200)):
                    assert rollups.roll(hour)


@pytest.mark.parametrize("seed", range(3))
def test_changes_beside_roll_ups_cause_no_deadlock(
    connect: Callable[[], SingleConnection], query: Query, seed: int
) -> None:
    work = Work(connect)
    work.store_dropped_day()
    with ThreadPoolExecutor(5) as pool:
        rolling = pool.submit(work.roll)
        bounded = [pool.submit(one) for one in (work.store, work.discard, work.delete)]
        try:
            for one in bounded[seed:] + bounded[:seed]:
                one.result()
        finally:
            work.done.set()
        rolling.result()
    with closing(connect()) as connection:
        jobs = PostgresStore(connection, OperationTimings()).jobs
        for job_id in JOBS:
            jobs.delete(job_id, AUDIT)
        retain_a_day(connection, hours=96)
    for table in TABLES:
        assert query(f"SELECT count(*) FROM {table}") == [(0,)]
    assert query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == [
        (0,)
    ]
