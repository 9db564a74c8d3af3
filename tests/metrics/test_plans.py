"""The cost of a scrape depends on running jobs: its queries never read finished ones."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.storage.queries import load
from tests.plans import Plan, filled, plan, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

# One job in ten runs: so many that a sequential scan looks cheap to PostgreSQL's planner.
FILL = """
ALTER TABLE jobs DISABLE TRIGGER USER;
INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time)
SELECT n::text, 'user' || n % 50, 'n' || n % 100, 2,
       CASE WHEN n % 10 = 0 THEN 'running' ELSE 'completed' END,
       '2026-11-02T08:00Z'::timestamptz + n * interval '1 second'
FROM generate_series(1, 30000) AS n;
INSERT INTO job_nodes (job_id, node, start_time)
SELECT id, node, start_time FROM jobs, unnest(ARRAY [nodes, nodes || 'b']) AS node;
INSERT INTO job_gpus (job_id, node, gpu_id, gpu_vendor, sampled_at)
SELECT job_id, node, '0', 'nvidia', start_time FROM job_nodes;
ANALYZE jobs;
ANALYZE job_nodes;
ANALYZE job_gpus;
"""


PARAMETERS = {"stale_after": timedelta(minutes=30), "shard": 0, "shards": 1, "home": "lab"}


@pytest.fixture(scope="module")
def busy(module_database_url: str) -> Iterator[psycopg.Connection]:
    with filled(module_database_url, FILL) as connection:
        yield connection


def indexes(node: Plan) -> set[str]:
    """Return the indexes that a plan reads."""
    below = [indexes(child) for child in node.get("Plans", ())]
    return set().union(*below, {node["Index Name"]} if "Index Name" in node else ())


@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("job_nodes", {"job_nodes"}),
        ("jobs", set()),
        ("stale", set()),
        # The GPUs' query also looks up whether the GPU's node has reported the job.
        ("gpus", {"job_gpus", "job_nodes"}),
        ("nodes", {"job_gpus", "job_nodes"}),
    ],
)
def test_rows_of_finished_jobs_are_not_read(
    busy: psycopg.Connection, name: str, tables: set[str]
) -> None:
    top = plan(busy, load("scrape")[name], PARAMETERS)
    assert not {f"Seq Scan {table}" for table in ("jobs", *tables)} & set(steps(top))
    expected = {"jobs_running", *(f"{table}_pkey" for table in tables)}
    assert indexes(top) - {"nodes_pkey"} == expected
