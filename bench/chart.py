"""A job's chart: 20,000 samples as 500 points, from samples and from roll-ups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show, timed
from hpcobs.domain.queries import SeriesQuery
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.samples import PostgresSamples
from hpcobs.storage.session import Session
from hpcobs.storage.timings import OperationTimings

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 15
JOBS = 100
SAMPLES = 20_000
BEGINNING = datetime(2026, 11, 1, tzinfo=UTC)

# A hundred jobs with a sample every ten seconds, in the order in which a collector stores them.
FILL = """
SELECT ensure_day_partition(parent, '2026-11-01'::date + n)
FROM unnest(ARRAY['metric_samples', 'gpu_samples']) AS parent, generate_series(0, 2) AS n;
INSERT INTO metric_samples (job_id, "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage)
SELECT job::text, '2026-11-01Z'::timestamptz + number * interval '10 seconds', 'n' || job,
       random() * 100, (random() * 64000)::bigint, random() * 100
FROM generate_series(1, 20000) AS number, generate_series(1, 100) AS job;
INSERT INTO unrolled_hours SELECT '2026-11-01Z'::timestamptz + n * interval '1 hour'
FROM generate_series(0, 55) AS n;
VACUUM ANALYZE metric_samples
"""
FETCH = "SELECT \"timestamp\", cpu_usage FROM metric_samples WHERE job_id = '42'"


def run() -> None:
    """Measure and print the results."""
    with migrated_database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in FILL.split(";"):
                connection.execute(statement.encode())
        connections = single_connection(url)
        samples = PostgresSamples(Session(connections.connection, OperationTimings()))
        with connections.connection() as connection:
            floor = _milliseconds("fetch of the samples", partial(_fetch, connection))
        # 401 is no multiple of 300, so this series cannot be read from roll-ups.
        odd = _chart(samples, "from samples: buckets of 401 s", 401)
        rolling = _roll(url)
        fine = _chart(samples, "from roll-ups: buckets of 300 s", 300)
        coarse = _chart(samples, "from roll-ups: buckets of 3600 s", 3600)
    show(
        f"A chart of {SAMPLES:,} samples among {SAMPLES * JOBS:,}, {ROUNDS} rounds;\n"
        f"an hour of {JOBS * 360:,} samples is rolled up in {rolling * 1000:.0f} ms",
        floor,
        [odd, fine, coarse],
        target="≤ 15 ms from samples of closed days, ≤ 5 ms from roll-ups",
    )


def _milliseconds(name: str, work: Callable[[], object]) -> Figure:
    work()  # warms caches, and prepares the statement
    return Figure(name, "ms", [timed(work) * 1000 for _ in range(ROUNDS)])


def _fetch(connection: psycopg.Connection) -> object:
    return connection.execute(FETCH, binary=True).fetchall()


def _chart(samples: PostgresSamples, name: str, resolution: int) -> Figure:
    query = SeriesQuery(start=BEGINNING, resolution_seconds=resolution, limit=10_000)
    return _milliseconds(name, partial(samples.series, "42", query))


def _roll(url: str) -> float:
    """Roll up all hours. Return the seconds that one hour takes."""
    rollups = PostgresRollups(single_connection(url), OperationTimings())
    hours = rollups.due(BEGINNING + timedelta(days=30))
    seconds = timed(lambda: [rollups.roll(hour) for hour in hours])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE metric_rollups")
    return seconds / len(hours)
