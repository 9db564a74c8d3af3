"""The removal of a day of samples with its partition, beside DELETE and VACUUM.

Before the removal, the roll-ups are compared with the samples, which reads the whole day. Writers
do not wait for that, so it is measured beside the removal.
Such a day is a week old, so it is no longer in the system's page cache: each round evicts it first.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show, timed
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.timings import OperationTimings

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 5_000_000
ROUNDS = 3
DAY = date(2026, 11, 1)

FILL = b"""
INSERT INTO metric_samples (job_id, "timestamp", node, cpu_usage, memory_usage_mb)
SELECT (n %% 20000)::text, '2026-11-01Z'::timestamptz + n / 20000 * interval '10 seconds',
       'n1', 1, 1
FROM generate_series(0, %s - 1) AS n
"""

ROLL_UP = b"""
SELECT ensure_month_partition('metric_rollups', '2026-11-01');
INSERT INTO metric_rollups (job_id, "timestamp", node, seconds, cpu_usage_sum, cpu_usage_max,
                            memory_usage_mb_sum, memory_usage_mb_max, sample_count,
                            gpu_sample_count)
SELECT job_id, '2026-11-01Z', 'n1', 3600, 1, 1, 1, 1, count(*), 0
FROM metric_samples GROUP BY job_id
ON CONFLICT DO NOTHING
"""


def run() -> None:
    """Measure and print the results."""
    floors, products, checks, deleted_wal, dropped_wal = [], [], [], [], []
    with migrated_database() as url, psycopg.connect(url, autocommit=True) as connection:
        expiry = PostgresExpiry(single_connection(url), OperationTimings())
        for _ in range(ROUNDS):
            _fill(connection, expiry)
            milliseconds, written = _measured(connection, lambda: _delete(connection))
            floors.append(milliseconds)
            deleted_wal.append(written)
            connection.execute("TRUNCATE metric_samples")
            _fill(connection, expiry)
            connection.execute("BEGIN")
            milliseconds, _ = _measured(connection, lambda: _check(connection))
            checks.append(milliseconds)
            milliseconds, written = _measured(connection, lambda: _drop(connection))
            products.append(milliseconds)
            dropped_wal.append(written)
            connection.execute("UPDATE rollup_states SET sealed_before = '-infinity'")
    show(
        f"Removing {ROWS:,} samples, {ROUNDS} rounds; written to the WAL: "
        f"{max(deleted_wal) / 1e6:,.0f} MB by DELETE and VACUUM, {max(dropped_wal) / 1e6:.2f} MB "
        "by retention",
        Figure("DELETE and VACUUM", "ms", floors),
        [Figure("retention", "ms", products), Figure("its check before", "ms", checks)],
        target="retention ≤ 0.05 × DELETE and VACUUM",
    )


def _fill(connection: psycopg.Connection, expiry: PostgresExpiry) -> None:
    expiry.ensure_partition("metric_samples", DAY)
    connection.execute(FILL, [ROWS])
    connection.execute(ROLL_UP)
    # A dirty page cannot be evicted, so write all pages first.
    connection.execute("CHECKPOINT")
    row = connection.execute("SELECT current_setting('data_directory') || '/base'").fetchone()
    for file in Path(row[0]).rglob("*"):  # type: ignore[index]
        if file.is_file():
            with file.open("rb") as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _delete(connection: psycopg.Connection) -> None:
    connection.execute("DELETE FROM metric_samples WHERE \"timestamp\" < '2026-11-02Z'")
    connection.execute("VACUUM metric_samples")


def _check(connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT check_sample_day('metric_samples', %s)", [DAY]).fetchone()
    assert row == (True,)


def _drop(connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT drop_sample_day('metric_samples', %s)", [DAY]).fetchone()
    connection.execute("COMMIT")
    assert row == (True,)


def _measured(connection: psycopg.Connection, work: Callable[[], None]) -> tuple[float, float]:
    """Run ``work``. Return the milliseconds that it took, and the bytes of WAL that it wrote."""
    before = _wal(connection)
    milliseconds = timed(work) * 1000
    return milliseconds, _wal(connection) - before


def _wal(connection: psycopg.Connection) -> float:
    row = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8")
    return float(row.fetchone()[0])  # type: ignore[index]
