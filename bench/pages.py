"""Job pages among a million jobs: by cursor at any depth, by offset, and of one node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import psycopg

from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show, timed
from hpcobs.domain.queries import JobFilter, Position
from hpcobs.domain.states import JobState
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings

if TYPE_CHECKING:
    from collections.abc import Callable

JOBS = 1_000_000
ROUNDS = 15
BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)

# A thousand nodes with a thousand jobs each, 200 users, and one node with ten jobs.
FILL = """
ALTER TABLE jobs DISABLE TRIGGER USER;
INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time, end_time, partition, account,
                  cluster_name)
SELECT n::text, 'user' || n % 200, 'n' || n % 1000, 1, 'completed',
       '2026-01-01T00:00Z'::timestamptz + n * interval '1 second',
       '2026-01-01T01:00Z'::timestamptz + n * interval '1 second',
       'p' || n % 5, 'a' || n % 50, 'bench'
FROM generate_series(1, 1000000) AS n;
INSERT INTO job_nodes (job_id, node, start_time)
SELECT id, nodes, start_time FROM jobs;
INSERT INTO job_nodes (job_id, node, start_time)
SELECT id, 'rare', start_time FROM jobs WHERE id::int % 100000 = 0;
ANALYZE jobs;
ANALYZE job_nodes;
"""


def _after(job: int) -> Position:
    return Position(BEGINNING + timedelta(seconds=job), str(job))


def _milliseconds(work: Callable[[], object]) -> list[float]:
    work()
    return [timed(work) * 1000 for _ in range(ROUNDS)]


def run() -> None:
    """Measure and print the results."""
    with migrated_database() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL.encode())
            connection.execute("VACUUM jobs, job_nodes")
        store = PostgresStore(single_connection(url), OperationTimings())

        def page(query: JobFilter, **where: object) -> Figure:
            work = partial(store.jobs.page, query, limit=50, **where)  # type: ignore[arg-type]
            return Figure(_described(query, where), "ms", _milliseconds(work))

        first = page(JobFilter())
        others = [
            page(JobFilter(), after=_after(900_000)),
            page(JobFilter(), after=_after(500_000)),
            page(JobFilter(), after=_after(1_000)),
            page(JobFilter(), offset=100_000),
            page(JobFilter(node="n7")),
            page(JobFilter(node="rare")),
            page(JobFilter(user="user7")),
            page(JobFilter(state=JobState.FAILED)),
            page(JobFilter(partition="p1", account="a1")),
            page(JobFilter(search="user7")),
            page(JobFilter(search="99999")),
        ]
    title = f"A page of 50 among {JOBS:,} jobs, {ROUNDS} rounds"
    show(title, first, others, target="any depth ≤ 2 × the first page; a node's jobs ≤ 10 ms")


def _described(query: JobFilter, where: dict[str, object]) -> str:
    names = ("state", "user", "node", "partition", "account", "search")
    parts = [f"{name}={getattr(query, name)}" for name in names if getattr(query, name) is not None]
    after = where.get("after")
    if isinstance(after, Position):
        parts.append(f"after job {int(after.job_id):,}")
    if "offset" in where:
        parts.append(f"offset {where['offset']:,}")
    return " ".join(parts) or "first page"
