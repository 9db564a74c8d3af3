"""A site with a true time, clocks that may be wrong, and the test's own record of its samples."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import psycopg

from hpcobs.domain.samples import Sample
from hpcobs.service.retention import Retention, RetentionLimits, RetentionReport
from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, T0, running_job
from tests.clocks import move_database_clock, set_database_clock
from tests.retention.rolling import write_batch

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TABLES = ("metric_samples", "gpu_samples", "metric_rollups", "gpu_rollups")
EMPTY = """
DO $$ DECLARE part regclass; BEGIN
    FOR part IN SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON oid = inhrelid
                WHERE relkind = 'r' LOOP
        EXECUTE format('DROP TABLE %s', part);
    END LOOP;
END $$;
TRUNCATE jobs, job_nodes, job_gpus, unrolled_hours, job_audit_events, retention_held;
UPDATE rollup_states SET rolled_before = '-infinity', sealed_before = '-infinity'
"""
SERIES = """
SELECT extract(epoch FROM "timestamp")::bigint, sample_count, cpu_usage_sum, cpu_usage_max
FROM metric_rollups WHERE seconds = 3600
"""


class LastingSite:
    """Nodes sample by the true time. The service and its database see it with an offset each."""

    def __init__(self, url: str, *, start: datetime = T0) -> None:
        self.url = url
        self.now = start
        self.ours = timedelta(0)
        self.database = timedelta(0)
        self.days = 7
        self.rollup_days = 400
        self.samples: dict[datetime, float] = {}
        self.released = start - 1000 * DAY
        self.rollups_released = self.released
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(EMPTY.encode())
        set_database_clock(url, start)
        self.connection = SingleConnection(connect_arguments(Settings(database_url=url)))
        timings = OperationTimings()
        self.store = PostgresStore(self.connection, timings)
        self.writer = PostgresSampleWriter(self.connection, timings)
        self.expiry = PostgresExpiry(self.connection, timings, sleep=lambda _: None)
        self.rollups = PostgresRollups(self.connection, timings)
        self.store.jobs.create(running_job(timestamp=start - 1000 * DAY), AUDIT)

    def wait(self, duration: timedelta) -> None:
        self.now += duration
        self._show_time()

    def set_clocks(self, *, ours: timedelta, database: timedelta) -> None:
        self.ours, self.database = ours, database
        self._show_time()

    def _show_time(self) -> None:
        move_database_clock(self.url, self.now + self.database)

    def sample(self, *ages: timedelta) -> None:
        """Store a sample of each age. The collector rejects those from sealed days."""
        sealed = self.sealed()
        batch = []
        for age in ages:
            moment = (self.now - age).replace(microsecond=0)
            if moment >= sealed and moment not in self.samples:
                self.samples[moment] = float(len(self.samples) % 100)
                batch.append(Sample("1", moment, "n1", self.samples[moment], 100, gpu_usage=1))
        self.writer.store(write_batch(batch))

    def run(self, *, dry_run: bool = False, confirm: bool = False) -> RetentionReport:
        # What a run may delete stays deleted, though the limit is raised later.
        self.released = max(self.released, self.now - self.days * DAY)
        oldest = self.now - max(self.rollup_days, self.days) * DAY
        self.rollups_released = max(self.rollups_released, oldest)
        limits = RetentionLimits(
            samples_days=self.days, rollup_days=self.rollup_days, audit_days=self.rollup_days
        )
        clock = self.now + self.ours
        retention = Retention(self.expiry, self.rollups, limits, clock=lambda: clock)
        return retention.run(lambda: 600.0, dry_run=dry_run, confirm=confirm)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.connection.connection() as connection:
            return connection.execute(statement.encode()).fetchall()

    def stored(self, table: str = "metric_samples") -> set[datetime]:
        return {moment for (moment,) in self.rows(f'SELECT "timestamp" FROM {table}')}

    def sealed(self) -> datetime:
        """Return the time before which samples are sealed in any table."""
        statement = "SELECT max(greatest(sealed_before, '2000-01-01Z')) FROM rollup_states"
        moment: datetime = self.rows(statement)[0][0]
        return moment

    def check(self) -> None:
        """Check that nothing within its limit is lost, and that roll-ups equal the samples."""
        kept = {moment for moment in self.samples if moment >= self.released}
        for table in ("metric_samples", "gpu_samples"):
            lost = kept - self.stored(table)
            assert not lost, f"{table}: {sorted(lost)} lost at {self.now}"
        assert self.sealed() <= self.now
        self._check_rollups()

    def _check_rollups(self) -> None:
        noted = {hour for (hour,) in self.rows("SELECT hour FROM unrolled_hours")}
        hours: dict[datetime, list[float]] = defaultdict(list)
        for moment, value in self.samples.items():
            hours[moment.replace(minute=0, second=0)].append(value)
        expected = {
            (int(hour.timestamp()), len(values), sum(values), max(values))
            for hour, values in hours.items()
            if hour not in noted and hour >= self.rollups_released
        }
        assert set(self.rows(SERIES)) >= expected

    def close(self) -> None:
        self.connection.close()
