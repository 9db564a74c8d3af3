"""Migrations are applied once, all or none, by whichever caller is first."""

from __future__ import annotations

import threading
from datetime import timedelta

import psycopg
import pytest

from hpcobs.storage.migrations import available, migrate
from hpcobs.storage.queries import load


def empty(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def test_migrations_apply_once_to_empty_database(database_url: str) -> None:
    empty(database_url)
    assert migrate(database_url) == list(available())
    assert migrate(database_url) == []


def test_parallel_deployments_apply_migrations_once(database_url: str) -> None:
    empty(database_url)
    applied: list[str] = []
    threads = [
        threading.Thread(target=lambda: applied.extend(migrate(database_url))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == list(available())


JOB = """
INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time, cluster_name)
VALUES (%s, 'ada', 'n1', 1, 'running', now(), %s)
"""


def migrate_before(database_url: str, last: str) -> None:
    """Apply the migrations that come before one to an empty database."""
    empty(database_url)
    statements = load("migrations")
    with psycopg.connect(database_url) as connection:
        connection.execute(statements["prepare"])
        for name, statement in available().items():
            if name < last:
                connection.execute(statement)
                connection.execute(statements["note"], {"name": name})


@pytest.mark.parametrize(
    ("jobs", "expected"),
    [
        # Plain ids are those of the home cluster. A node that named no cluster is one of its own.
        ([("b.1", "b"), ("1", "lab"), ("2", None)], [("b", "n2"), ("lab", "n1"), ("lab", "n3")]),
        # Without a job of the home cluster, the node comes back with its next report.
        ([("b.1", "b"), ("2", None)], [("b", "n2"), ("lab", "n3")]),
        ([], [("b", "n2"), ("lab", "n3")]),
    ],
)
def test_stored_nodes_get_their_cluster(
    database_url: str, jobs: list[tuple[str, str | None]], expected: list[tuple[str, str]]
) -> None:
    migrate_before(database_url, "0008")
    with psycopg.connect(database_url, autocommit=True) as connection:
        for job in jobs:
            connection.execute(JOB, job)
        connection.execute(
            "INSERT INTO nodes (name, cluster_name) VALUES ('n1', NULL), ('n2', 'b'), ('n3', 'lab')"
        )
        assert "0008_clusters" in migrate(database_url)
        stored = connection.execute("SELECT cluster_name, name FROM nodes ORDER BY 1, 2").fetchall()
    assert stored == expected


SEALED_AHEAD = """
UPDATE rollup_states SET rolled_before = now() + interval '30 days',
                         sealed_before = now() + interval '23 days';
SELECT ensure_day_partition('metric_samples', (now() - n * interval '1 hour')::date),
       ensure_month_partition('metric_rollups', (now() - n * interval '1 hour')::date)
FROM generate_series(0, 3) AS n;
INSERT INTO metric_rollups (job_id, "timestamp", node, seconds, cpu_usage_sum, cpu_usage_max,
                            memory_usage_mb_sum, memory_usage_mb_max, sample_count,
                            gpu_sample_count)
VALUES ('1', date_bin('1 hour', now(), 'epoch') - interval '2 hours', 'n1', 3600, 1, 1, 1, 1, 1, 0);
INSERT INTO metric_samples (job_id, "timestamp", node, cpu_usage, memory_usage_mb)
SELECT '1', date_bin('1 hour', now(), 'epoch') - n * interval '1 hour', 'n1', 1, 1
FROM generate_series(0, 2) AS n
"""


def test_days_sealed_ahead_are_unsealed(database_url: str) -> None:
    migrate_before(database_url, "0009")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(SEALED_AHEAD.encode())
        migrate(database_url)
        hour = "date_bin('1 hour', now(), 'epoch')"
        ahead = f"SELECT count(*) FROM rollup_states WHERE rolled_before > {hour}"
        assert connection.execute(ahead.encode()).fetchone() == (0,)
        # The hour with roll-ups stays sealed, and later ones are rolled up again.
        sealed = (
            f"SELECT {hour} - sealed_before FROM rollup_states WHERE samples = 'metric_samples'"
        )
        assert connection.execute(sealed.encode()).fetchone() == (timedelta(hours=1),)
        noted = f"SELECT {hour} - hour FROM unrolled_hours ORDER BY 1"
        rows = connection.execute(noted.encode()).fetchall()
    assert {age for (age,) in rows} >= {timedelta(0), timedelta(hours=1)}


def test_evidence_starts_at_last_collection(database_url: str) -> None:
    migrate_before(database_url, "0009")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO gauges (name, value, set_at) VALUES"
            " ('last_collect_timestamp_seconds', 1, now() - interval '9 days')"
        )
        migrate(database_url)
        believed = connection.execute("SELECT now() - believed_at FROM retention_clock").fetchone()
    assert believed is not None
    assert timedelta(days=9) <= believed[0] < timedelta(days=9, hours=1)
