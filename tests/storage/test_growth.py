"""No statement reads a whole table, as planned for ten million jobs and a month of samples."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from hpcobs.domain.queries import Position
from hpcobs.storage.jobs import _page_parameters
from hpcobs.storage.queries import FOLDER, load
from tests.builders import T0, at
from tests.plans import Plan, plan
from tests.storage.test_plans import FILL, FILTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

# Some rows of each kind, by which ANALYZE learns how their values are spread …
FILL_MORE = """
INSERT INTO job_gpus (job_id, node, gpu_id, gpu_vendor, sampled_at)
SELECT job_id, node, '0', 'nvidia', start_time FROM job_nodes;
INSERT INTO job_audit_events (job_id, change_type, changed_at, changed_by, source, correlation_id,
                              job_snapshot)
SELECT id, 'update', start_time, 'x', 'x', 'x', '{}' FROM jobs ORDER BY start_time;
INSERT INTO nodes (cluster_name, name) SELECT 'lab', 'n' || n FROM generate_series(0, 5000) AS n;
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
INSERT INTO waiting_samples (job_id, "timestamp", node, batch_id, position, payload, since)
SELECT 'unheard' || n % 200, T, 'n' || n % 100, n, n, '{}', T
FROM generate_series(1, 5000) AS n,
     LATERAL (SELECT '2026-11-02T08:00Z'::timestamptz + n * interval '0.1 second') AS made (T);
INSERT INTO rejected_samples_by_sender (batch_id, position, node, reason, payload, rejected_at,
                                        digest)
SELECT n, n, 'n' || n % 100, 'bad', '{}',
       '2026-11-02T08:00Z'::timestamptz - n * interval '1 minute', ''
FROM generate_series(1, 5000) AS n;
INSERT INTO unrolled_hours SELECT '2026-11-02Z'::timestamptz + n % 200 * interval '1 hour'
FROM generate_series(1, 5000) AS n;
INSERT INTO sample_queue (body, visible_at)
SELECT '', now() + n % 60 * interval '1 minute' FROM generate_series(1, 5000) AS n;
"""

# … and how many there are: the planner multiplies a table's pages by the rows of a page.
GROW = """
UPDATE pg_class SET reltuples = 10000000
WHERE relname IN ('jobs', 'job_nodes', 'job_gpus', 'job_audit_events');
UPDATE pg_class SET reltuples = 100000000
WHERE relname ~ '^(metric|gpu)_(samples|rollups)_[0-9]{8}$' AND relkind = 'r';
UPDATE pg_class SET reltuples = 1000000
WHERE relname IN ('waiting_samples', 'rejected_samples_by_sender', 'unrolled_hours',
                  'sample_queue');
"""
BIG = (
    *("jobs", "job_nodes", "job_gpus", "job_audit_events", "metric_", "gpu_"),
    *("waiting_samples", "rejected_samples_by_sender", "unrolled_hours", "sample_queue"),
)
MANY_ROWS = 900_000
HOUR_ROWS = 5_000_000
"""The rows of an hour may be sorted when it is rolled up."""

MANY = [str(number) for number in range(1, 2001)]
PARAMETERS: dict[str, object] = {
    "id": "17",
    "job_id": "17",
    "ids": MANY,
    "job_ids": ["17", "18"],
    "job": '{"id": "17"}',
    "to": "17@20261102T080000Z",
    "since": T0,
    "until": at(3600),
    "reported_id": "17",
    "edges": [T0],
    "anew": False,
    "discarded": False,
    "counted_since": T0,
    "readable_since": at(60),
    "kept_nodes": ["n1"],
    "start": at(0),
    "end": at(3600),
    "hour": T0,
    "hours": [T0],
    "seen_at": T0,
    "observed_at": [T0],
    "ended_at": T0,
    "before": T0 - timedelta(days=400),
    "closed_after": timedelta(minutes=15),
    "after": None,
    "after_id": None,
    "rejected_ids": [7],
    "samples_sealed_before": T0,
    "gpus_sealed_before": T0,
    "resolution": 300,
    "interval": 300,
    "limit": 1000,
    "most": 1000,
    "node": None,
    "user": None,
    "reason": None,
    "state": "completed",
    "exit_code": 0,
    "signal": 0,
    "stale_after": timedelta(minutes=30),
    "shard": 0,
    "shards": 1,
    "home": "lab",
    "by": 1,
    "cpu_usage": 50,
    "memory_usage_mb": None,
    "gpu_usage": None,
    "change_type": "delete",
    "changed_by": "x",
    "source": "x",
    "correlation_id": "x",
    "stored": 1.0,
    "duplicates": 0.0,
    "rejected": 0.0,
    "names": ["n1"],
    "clusters": ["lab"],
    "states": ["IDLE"],
    "cpus": [1],
    "gpus": [None],
    "memory_total_mb": [1],
    "memory_used_mb": [1],
    "cpu_load": [0.5],
    "batch_ids": ["7"],
    "positions": [7],
    "nodes": ["n1"],
    "reasons": ["bad"],
    "receipt": str(UUID(int=7)),
    "receipts": [str(UUID(int=7))],
    "payloads": ["{}"],
    "bodies": [b"x"],
    "max_receives": 100,
    "hidden": timedelta(minutes=2),
    "lag_seconds": 1.0,
    "finished_at": 1.0,
    "operations": ["x"],
    "observations": ["{1}"],
    "seconds": [1.0],
    "error_names": ["x"],
    "error_counts": [1.0],
    "value": "x",
}
OF_HOSTS = {"seen_at": [T0]}

# Statements that are planned for each call, by its values: they are never prepared.
BY_VALUES = [
    *(("samples", name) for name in ("series", "buckets", "gpu_series", "gpu_buckets")),
    *(("discarding", name) for name in ("discard", "discard_rollups", "sum_edges")),
    *(("discarding", name) for name in ("move", "move_rollups", "forget_latest", "release")),
    *(("deleting", name) for name in ("delete_samples", "delete_gpu_samples")),
    *(("deleting", name) for name in ("delete_rollups", "delete_gpu_rollups")),
    *(("rollups", name) for name in ("delete_removed", "roll_metrics", "roll_gpus")),
    ("queue", "bury_worn_out"),
]
# Statements for which PostgreSQL may make one generic plan.
ONCE_FOR_ALL = [
    *(("jobs", name) for name in ("create", "get", "lock", "save", "reset_nodes", "record_seen")),
    *(("jobs", name) for name in ("node_ends", "record_node_end")),
    *(("deleting", name) for name in ("lock_key", "delete")),
    *(("jobs", name) for name in ("unmatched_ends", "keep_unmatched", "place_usage")),
    *(("jobs", name) for name in ("lock_submissions", "clear_node_ends")),
    *(("jobs", name) for name in ("unmatched_starts", "hold_start", "release_starts")),
    ("audit", "of_job"),
    ("nodes", "report"),
    *(("sample_writer", name) for name in ("lock_jobs", "stage_known_jobs", "add_sums")),
    ("sample_writer", "submissions"),
    *(("sample_writer", name) for name in ("update_latest_gpus", "update_hosts", "reject")),
    ("append_path", "latest"),
    *(("merge_path", name) for name in ("keep_waiting", "merge", "merge_gpus")),
    *(("merge_path", name) for name in ("waiting_jobs", "stage_waiting", "take_overdue")),
    *(("statistics", name) for name in ("rebuild_nodes", "restore_gpus", "refresh_jobs")),
    *(("scrape", name) for name in ("job_nodes", "jobs", "stale", "gpus", "nodes")),
    *(("rollups", name) for name in ("due", "take")),
    *(("retention", name) for name in ("delete_audit", "delete_rejected", "surplus_rejected")),
    *(("retention", name) for name in ("evidence", "oldest_audit", "oldest_rejected")),
    *(("queue", name) for name in ("send", "receive", "delete", "extend", "bury")),
    ("rejected", "remove"),
]

ELSEWHERE = {
    "pages": "test_plans.py, and below",
    "columns": "lists of columns, which are parts of statements",
    "conditions": "parts of statements too",
    "migrations": "run when a site is deployed",
    "timings": "an append, one row for each kind of operation",
}
OF_NO_TABLE = {
    "sample_writer": {
        *("create_staging", "clear_staging", "open_hours", "stage_gpus"),
        *("count", "fold", "set_gauges", "limits"),
    },
    "append_path": {"append_samples", "append_gpus", "stage_sums"},
    "merge_path": {
        *("stage_samples", "staged", "changed_jobs", "key_waiting", "key_waiting_gpus"),
        *("unstage_sealed", "unstage_gpus"),
    },
    "scrape": {"begin", "counters", "gauges", "held", "operations"},
    "rollups": {"begin", "ensure_months"},
    "retention": {
        *(
            "ensure_days",
            "ensure_months",
            "partitions",
            "drop_days",
            "drop_months",
            "check_days",
            "rolled_up",
            "save_witness",
            "forget_held",
            "hold",
            "limit_lock_wait",
        ),
    },
}
"""Statements that read no growing table: commands, appends, counters."""
NOW_AND_THEN = {
    "rollups": {"count_due"},
    "retention": {
        *("count_audit", "count_rejected", "count_dead", "delete_dead", "oldest_dead"),
        *("count_held_starts", "delete_held_starts", "oldest_held_starts"),
    },
    "rejected": {"page", "count", "last_id"},
    "queue": {"depth", "redrive"},
}
"""Statements that an operator runs, or that count a table that is small on a healthy site."""


@pytest.fixture(scope="module")
def grown(module_database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        connection.execute((FILL + FILL_MORE).encode())
        connection.execute("ANALYZE")
        connection.execute(GROW.encode())
        connection.execute(load("sample_writer")["create_staging"])
        yield connection


def nodes(top: Plan) -> Iterator[Plan]:
    yield top
    for child in top.get("Plans", ()):
        yield from nodes(child)


def check(top: Plan, *, at_most: int = MANY_ROWS) -> None:
    for node in nodes(top):
        read = node.get("Relation Name", "")
        assert node["Node Type"] != "Seq Scan" or not read.startswith(BIG), node
        assert node["Node Type"] != "Sort" or node["Plan Rows"] < at_most, node


@pytest.mark.parametrize(("subject", "name"), [*BY_VALUES, *ONCE_FOR_ALL])
def test_statement_scans_and_sorts_no_table(
    grown: psycopg.Connection, subject: str, name: str
) -> None:
    at_most = HOUR_ROWS if subject == "rollups" else MANY_ROWS
    parameters = PARAMETERS | (OF_HOSTS if name == "update_hosts" else {})
    check(plan(grown, load(subject)[name], parameters), at_most=at_most)


@pytest.mark.parametrize(("subject", "name"), ONCE_FOR_ALL)
def test_generic_plan_scans_and_sorts_no_table(
    grown: psycopg.Connection, subject: str, name: str
) -> None:
    statement = numbered(load(subject)[name].decode())
    explained = grown.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {statement}".encode())
    ((row,),) = explained.fetchall()
    check(row[0]["Plan"])


def numbered(statement: str) -> str:
    """Return the statement with its parameters as PostgreSQL writes them."""
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        kind = "::interval" if isinstance(PARAMETERS[found[1]], timedelta) else ""
        return numbers.setdefault(found[1], f"${len(numbers) + 1}") + kind

    return re.sub(r"%\((\w+)\)s", number, statement).replace("%%", "%")


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("after", [None, Position(T0, "17")], ids=["first", "later"])
def test_page_scans_and_sorts_no_table(
    grown: psycopg.Connection, name: str, after: Position | None
) -> None:
    query = FILTERS[name]
    statement = load("pages")["page" if query.node is None else "page_of_node"]
    check(plan(grown, statement, _page_parameters(query, after) | {"limit": 51, "offset": 0}))


def test_every_statement_is_explained_or_exempt() -> None:
    explained = {*BY_VALUES, *ONCE_FOR_ALL}
    for file in FOLDER.glob("*.sql"):
        subject = file.stem
        if subject not in ELSEWHERE:
            harmless = OF_NO_TABLE.get(subject, set()) | NOW_AND_THEN.get(subject, set())
            covered = {name for of, name in explained if of == subject} | harmless
            assert covered == set(load(subject)), f"{file.name}: explain what is new in it"


def test_planner_assumes_ten_million_jobs(grown: psycopg.Connection) -> None:
    # Otherwise the tests above would prove nothing, as when ANALYZE ran in between.
    top = plan(grown, b"SELECT * FROM jobs", {})
    assert top["Plan Rows"] == pytest.approx(1e7, rel=0.01)
