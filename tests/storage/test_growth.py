"""With ten million jobs and a month of samples in the planner's mind, no table is read whole."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.storage.queries import load
from tests.builders import T0, at
from tests.storage.test_plans import FILL, Plan, plan

if TYPE_CHECKING:
    from collections.abc import Iterator

# Some rows of each kind, by which PostgreSQL learns how their values are spread …
FILL_MORE = """
INSERT INTO job_gpus (job_id, node, gpu_id, gpu_vendor, sampled_at)
SELECT job_id, node, '0', 'nvidia', start_time FROM job_nodes;
INSERT INTO job_audit_events (job_id, change_type, changed_at, changed_by, source, correlation_id,
                              job_snapshot)
SELECT id, 'update', start_time, 'x', 'x', 'x', '{}' FROM jobs ORDER BY start_time;
INSERT INTO nodes (name) SELECT 'n' || n FROM generate_series(0, 5000) AS n;
SELECT ensure_day_partition(parent, '2026-11-02'::date + n)
FROM unnest(ARRAY['metric_samples', 'gpu_samples']) AS parent, generate_series(0, 29) AS n;
SELECT ensure_month_partition(parent, '2026-11-02'::date + 29 * n)
FROM unnest(ARRAY['metric_rollups', 'gpu_rollups']) AS parent, generate_series(0, 1) AS n;
INSERT INTO metric_samples (job_id, "timestamp", node, cpu_usage, memory_usage_mb, gpu_usage)
SELECT (n % 500)::text, '2026-11-02Z'::timestamptz + n / 1000 * interval '10 minutes',
       'n' || n % 100, 1, 1, 1
FROM generate_series(0, 1000 * 144 * 30 - 1, 97) AS n;
INSERT INTO gpu_samples (job_id, "timestamp", node, gpu_id, gpu_vendor)
SELECT job_id, "timestamp", node, '0', 'nvidia' FROM metric_samples;
INSERT INTO metric_rollups (job_id, "timestamp", node, seconds, cpu_usage_sum, cpu_usage_max,
                            memory_usage_mb_sum, memory_usage_mb_max, sample_count,
                            gpu_sample_count)
SELECT job_id, "timestamp", node, 300, 1, 1, 1, 1, 1, 0 FROM metric_samples;
INSERT INTO gpu_rollups (job_id, "timestamp", node, gpu_id, gpu_vendor, seconds, sample_count,
                         utilization_count, memory_used_count, power_count, temperature_count)
SELECT job_id, "timestamp", node, '0', 'nvidia', 300, 1, 0, 0, 0, 0 FROM metric_samples;
"""

# … and how many there are: the planner reckons with a table's pages times the rows of a page.
GROW = """
UPDATE pg_class SET reltuples = 10000000
WHERE relname IN ('jobs', 'job_nodes', 'job_gpus', 'job_audit_events');
UPDATE pg_class SET reltuples = 100000000
WHERE relname ~ '^(metric|gpu)_(samples|rollups)_[0-9]{8}$' AND relkind = 'r';
"""
BIG = ("jobs", "job_nodes", "job_gpus", "job_audit_events", "metric_", "gpu_")
TABLE_ROWS = 9_000_000

JOBS = {"id": "17", "ids": [str(number) for number in range(1, 2001)]}
TIMES = {
    "start": at(0),
    "end": at(3600),
    "hour": T0,
    "before": T0 - timedelta(days=400),
    "resolution": 300,
    "interval": 300,
}
PARAMETERS = JOBS | TIMES | {
    "job_id": "17",
    "job_ids": ["17", "18"],
    "node": None,
    "user": None,
    "limit": 1000,
    "stale_after": timedelta(minutes=30),
    "shard": 0,
    "shards": 1,
    "seen_at": T0,
    "ended_at": T0,
    "by": 1,
    "state": "completed",
    "exit_code": 0,
    "signal": 0,
    "cpu_usage": 50,
    "memory_usage_mb": None,
    "gpu_usage": None,
    "change_type": "delete",
    "changed_by": "x",
    "source": "x",
    "correlation_id": "x",
}  # fmt: skip

STATEMENTS = [
    *(("jobs", name) for name in ("get", "lock", "node_ends", "record_node_end", "record_seen")),
    *(("jobs", name) for name in ("reset_nodes", "delete", "unmatched_ends", "keep_unmatched")),
    ("jobs", "place_usage"),
    ("audit", "of_job"),
    *(("sink", name) for name in ("lock_jobs", "latest", "know_jobs", "merge", "merge_gpus")),
    ("statistics", "rebuild_nodes"),
    ("statistics", "refresh_jobs"),
    *(("samples", name) for name in ("series", "buckets", "gpu_series", "gpu_buckets")),
    *(("scrape", name) for name in ("job_nodes", "jobs", "stale", "gpus", "nodes")),
    *(("rollups", name) for name in ("forget", "roll_metrics", "roll_gpus")),
    ("retention", "delete_audit"),
]


@pytest.fixture(scope="module")
def grown(module_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        connection.execute((FILL + FILL_MORE).encode())
        connection.execute("ANALYZE")
        connection.execute(GROW.encode())
        connection.execute(load("sink")["stage"])
        yield connection


def nodes(top: Plan) -> Iterator[Plan]:
    yield top
    for child in top.get("Plans", ()):
        yield from nodes(child)


@pytest.mark.parametrize(("subject", "name"), STATEMENTS)
def test_a_statement_reads_no_table_and_sorts_no_table(
    grown: psycopg.Connection, subject: str, name: str
) -> None:
    for node in nodes(plan(grown, load(subject)[name], PARAMETERS)):
        read = node.get("Relation Name", "")
        assert node["Node Type"] != "Seq Scan" or not read.startswith(BIG), node
        assert node["Node Type"] != "Sort" or node["Plan Rows"] < TABLE_ROWS, node


def test_the_planner_believes_in_ten_million_jobs(grown: psycopg.Connection) -> None:
    """Otherwise the tests above would say nothing, as when ANALYZE ran in between."""
    top = plan(grown, b"SELECT * FROM jobs", {})
    assert top["Plan Rows"] == pytest.approx(1e7, rel=0.01)
