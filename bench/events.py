"""One durable event: the storage call for a new job, beside pgbench's one statement."""

from __future__ import annotations

import subprocess
import tempfile
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg

from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show
from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.events import JobStarted
from hpcobs.domain.jobs import Resources
from hpcobs.domain.lifecycle.job_from_event import Origin
from hpcobs.service.job_events import JobEvents
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from hpcobs_local.postgres.programs import binary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVENTS = 1500
ROUNDS = 5

# The floor writes the same job and audit row into tables with the same columns and indexes, by one
# prepared statement of literals. It has no client work, no nodes and no counters.
FLOOR_TABLES = """
CREATE TABLE floor_jobs (LIKE jobs INCLUDING ALL);
CREATE TABLE floor_audit (LIKE job_audit_events INCLUDING ALL);
CREATE SEQUENCE floor_ids START 1000000;
"""
FLOOR_STATEMENT = """
WITH made AS (
    INSERT INTO floor_jobs (id, user_name, nodes, node_count, state, start_time, external_job_id,
                            scheduler_type, partition, account, allocated_cpus,
                            allocated_memory_mb, cluster_name)
    VALUES (nextval('floor_ids')::text, 'ada', 'n1', 1, 'running', now(), '1', 'slurm', 'main',
            'physics', 8, 16000, 'bench')
    RETURNING *
)
INSERT INTO floor_audit (job_id, change_type, changed_by, source, correlation_id, job_snapshot)
SELECT id, 'upsert', 'node-n1', 'slurm', '7b0c6a53-0d4e-4d0f-8d6a-0b7a6f0d3c11', to_jsonb(made)
FROM made;
"""


def _floor(url: str) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "event.sql"
        script.write_text(" ".join(FLOOR_STATEMENT.split()) + "\n")
        command = [str(binary("pgbench")), "--no-vacuum", "--protocol=prepared", "--log"]
        command += [f"--transactions={EVENTS}", f"--file={script}", url]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)
        (log,) = Path(folder).glob("pgbench_log*")
        return [int(line.split()[2]) for line in log.read_text().splitlines()]


def _product(events: JobEvents, ids: Iterator[int]) -> list[float]:
    microseconds = []
    audit = AuditInfo("node-n1", "slurm", str(uuid4()))
    resources = Resources(allocated_cpus=8, allocated_memory_mb=16000)
    for _ in range(EVENTS):
        event = JobStarted(
            job_id=str(next(ids)),
            user="ada",
            nodes=("n1",),
            timestamp=datetime.now(UTC),
            partition="main",
            account="physics",
            resources=resources,
        )
        began = time.perf_counter()
        events.job_started(event, audit)
        microseconds.append((time.perf_counter() - began) * 1e6)
    return microseconds


def _percentiles(name: str, rounds: Sequence[Sequence[float]]) -> tuple[Figure, Figure]:
    cuts = [quantiles(values, n=100) for values in rounds]
    return (
        Figure(f"{name} p50", "µs", [cut[49] for cut in cuts]),
        Figure(f"{name} p99", "µs", [cut[98] for cut in cuts]),
    )


def run() -> None:
    """Measure and print the results."""
    floors, products = [], []
    with migrated_database() as url:
        with psycopg.connect(url) as connection:
            connection.execute(FLOOR_TABLES.encode())
        store = PostgresStore(single_connection(url), OperationTimings())
        ids = count(1_000_000)
        events = JobEvents(store, Origin(home_cluster="bench"))
        _product(events, ids)  # warms caches, and prepares the statements
        for _ in range(ROUNDS):
            floors.append(_floor(url))
            products.append(_product(events, ids))
    floor50, floor99 = _percentiles("pgbench, one statement", floors)
    product50, product99 = _percentiles("job_started, new job", products)
    title = f"One durable event, {ROUNDS} rounds of {EVENTS}"
    show(title, floor50, [product50], target="≤ 1.5 × the floor")
    show(f"{title}, slowest", floor99, [product99], target="none, for information")
