"""The collector, from queued bytes to committed rows and statistics, beside psql's raw COPY.

Both write the same rows into the same table: partitioned by day, with its one unique key.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from bench.batches import batch
from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show, timed
from hpcobs.domain.audit import AuditInfo
from hpcobs.domain.events import JobStarted
from hpcobs.domain.first_heard import Origin
from hpcobs.queue.postgres import PostgresQueue
from hpcobs.service.collection import Collection, CollectionRules
from hpcobs.service.ingestion import Ingestion
from hpcobs.service.lifecycle import JobEvents
from hpcobs.storage.sink import PostgresSink
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from hpcobs_local.postgres import binary

NODES = 500
JOBS_PER_NODE = 4
SAMPLES_PER_BATCH = 100
ROUNDS = 5

COLUMNS = (
    "job_id, timestamp, node, cpu_usage, memory_usage_mb, gpu_usage, memory_peak_mb, oom_kills,"
    " cpu_seconds_total, cpu_throttled_seconds_total, io_read_bytes_total, io_write_bytes_total"
)


def run() -> None:
    """Measure and print."""
    random.seed(1)
    floors, products, late = [], [], []
    with migrated_database() as url, tempfile.TemporaryDirectory() as folder:
        _start_jobs(url)
        collector = _collector(url)
        for number in range(ROUNDS + 1):
            rows = _fill_queue(url, number)
            took = timed(lambda: collector.run(lambda: 60.0))
            floor = _copy_rows(url, Path(folder) / "rows.copy")
            _fill_queue(url, -number)
            took_late = timed(lambda: collector.run(lambda: 60.0))
            if number:  # the first round warms caches
                products.append(rows / took)
                floors.append(rows / floor)
                late.append(rows / took_late)
    show(
        f"Samples into the database, {rows:,} a round, {ROUNDS} rounds, {NODES} nodes, "
        f"{NODES * JOBS_PER_NODE:,} jobs",
        Figure("psql COPY of the same rows", "rows/s", floors),
        [
            Figure("collector, queue to statistics", "rows/s", products),
            Figure("the same, samples out of order", "rows/s", late),
        ],
        target="≥ 0.35 × the COPY",
    )


def _start_jobs(url: str) -> None:
    events = JobEvents(_store(url), Origin(home_cluster="bench"))
    audit = AuditInfo("bench", "bench", "bench")
    for node in range(NODES):
        for job in range(JOBS_PER_NODE):
            event = JobStarted(
                job_id=f"{node}{job}",
                user="ada",
                nodes=(f"n{node}",),
                timestamp=datetime.now(UTC) - timedelta(days=1),
            )
            events.job_started(event, audit)


def _store(url: str) -> PostgresStore:
    return PostgresStore(single_connection(url), OperationTimings())


def _collector(url: str) -> Collection:
    rules = CollectionRules(home_cluster="bench", interval_seconds=3600, retention_days=7)
    sink = PostgresSink(single_connection(url), OperationTimings())
    return Collection(PostgresQueue(single_connection(url)), sink, rules)


def _fill_queue(url: str, number: int) -> int:
    """A batch of every node, round by round an hour later; how many samples they hold."""
    _execute(url, "TRUNCATE metric_samples; CHECKPOINT")
    ingestion = Ingestion(PostgresQueue(single_connection(url)))
    beginning = datetime.now(UTC) - timedelta(hours=12 - number)
    for node in range(NODES):
        jobs = [f"{node}{job}" for job in range(JOBS_PER_NODE)]
        body = batch(f"n{node}", jobs, samples=SAMPLES_PER_BATCH, gpus=0, beginning=beginning)
        ingestion.accept(body, principal_node=None)
    return NODES * SAMPLES_PER_BATCH


def _copy_rows(url: str, file: Path) -> float:
    """Seconds in which psql copies the rows, that the collector has just stored, from a file."""
    _psql(url, f"\\copy (SELECT {COLUMNS} FROM metric_samples) TO '{file}'")
    _execute(url, "TRUNCATE metric_samples; CHECKPOINT")
    return timed(lambda: _psql(url, f"\\copy metric_samples ({COLUMNS}) FROM '{file}'"))


def _psql(url: str, command: str) -> None:
    program = [str(binary("psql")), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"]
    subprocess.run([*program, f"--command={command}", url], check=True, capture_output=True)


def _execute(url: str, statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(str.strip, statements.split(";")):
            connection.execute(statement.encode())
