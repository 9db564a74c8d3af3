"""The collector, from queued bytes to committed rows and statistics, beside psql's raw COPY.

Both write the same rows into the same table: partitioned by day, with its one unique key.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg

from bench.batches import batch
from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show, timed
from hpcobs.queue.postgres import PostgresQueue
from hpcobs.service.collection import Collection, CollectionRules
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.timings import OperationTimings
from hpcobs.wire.batches import pack
from hpcobs_local.postgres.programs import binary

JOBS_PER_NODE = 4
ROUNDS = 5


@dataclass(frozen=True)
class Feed:
    """The batches that nodes send in one round. Their samples are of each job in turn."""

    nodes: int
    batches: int
    samples: int

    @property
    def rows(self) -> int:
        """The number of samples in a round."""
        return self.nodes * self.batches * self.samples


BACKLOG = Feed(nodes=500, batches=4, samples=100)
"""After an outage: nodes send the batches in their spools."""
HALF_A_MINUTE = Feed(nodes=5000, batches=3, samples=JOBS_PER_NODE)
"""A large site between two passes: each node sends a sample of each job every ten seconds."""

START_JOBS = b"""
WITH made AS (
    INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time, cluster_name)
    SELECT node || 'j' || job, 'ada', 'n' || node, 1, 'running', now() - interval '1 day', 'bench'
    FROM generate_series(0, %s - 1) AS node, generate_series(0, %s - 1) AS job
    RETURNING id, nodes, start_time
)
INSERT INTO job_nodes (job_id, node, start_time) SELECT * FROM made
"""

COLUMNS = (
    "job_id, timestamp, node, cpu_usage, memory_usage_mb, gpu_usage, memory_peak_mb, oom_kills,"
    " cpu_seconds_total, cpu_throttled_seconds_total, io_read_bytes_total, io_write_bytes_total"
)


def run() -> None:
    """Measure and print the results."""
    random.seed(1)
    floors, backlogs, late, steady = [], [], [], []
    with migrated_database() as url, tempfile.TemporaryDirectory() as folder:
        _start_jobs(url)
        collect = partial(_collector(url).run, lambda: 60.0)
        for number in range(ROUNDS + 1):
            _fill_queue(url, BACKLOG, hours_ago=40 - 2 * number)
            backlogs.append(BACKLOG.rows / timed(collect))
            floors.append(BACKLOG.rows / _copy_rows(url, Path(folder) / "rows.copy"))
            _fill_queue(url, BACKLOG, hours_ago=80 - number)
            late.append(BACKLOG.rows / timed(collect))
            _fill_queue(url, HALF_A_MINUTE, hours_ago=39 - 2 * number)
            steady.append(HALF_A_MINUTE.rows / timed(collect))
    # The first round warms the caches.
    floors, backlogs, late, steady = (values[1:] for values in (floors, backlogs, late, steady))
    show(
        f"Samples into the database, {BACKLOG.rows:,} a round, {ROUNDS} rounds; of "
        f"{HALF_A_MINUTE.nodes:,} nodes and {HALF_A_MINUTE.nodes * JOBS_PER_NODE:,} jobs in half a "
        f"minute, {HALF_A_MINUTE.rows:,}",
        Figure("psql COPY of the same rows", "rows/s", floors),
        [
            Figure("collector, queue to statistics", "rows/s", backlogs),
            Figure("the same, samples out of order", "rows/s", late),
            Figure("half a minute of a large site", "rows/s", steady),
        ],
        target="≥ 0.35 × the COPY",
    )


def _start_jobs(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(START_JOBS, [HALF_A_MINUTE.nodes, JOBS_PER_NODE])
        connection.execute("VACUUM ANALYZE")


def _collector(url: str) -> Collection:
    rules = CollectionRules(home_cluster="bench", interval_seconds=3600, retention_days=7)
    writer = PostgresSampleWriter(single_connection(url), OperationTimings())
    return Collection(PostgresQueue(single_connection(url)), writer, rules)


def _fill_queue(url: str, feed: Feed, *, hours_ago: int) -> None:
    """Queue the batches of all nodes in the order of their times, packed as ingest packs them."""
    # A checkpoint in the middle of a measured round would count as the work of that round.
    _execute(url, "TRUNCATE metric_samples; CHECKPOINT")
    beginning = datetime.now(UTC) - timedelta(hours=hours_ago)
    messages = []
    for number in range(feed.batches):
        at = beginning + number * timedelta(seconds=feed.samples // JOBS_PER_NODE)
        for node in range(feed.nodes):
            jobs = [f"{node}j{job}" for job in range(JOBS_PER_NODE)]
            made = batch(f"n{node}", jobs, samples=feed.samples, gpus=0, beginning=at)
            messages.append(pack(made))
    PostgresQueue(single_connection(url)).send(messages)


def _copy_rows(url: str, file: Path) -> float:
    """Copy the rows that the collector has just stored with psql. Return the seconds."""
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
