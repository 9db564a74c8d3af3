"""A scrape of 80,000 gauges: rows to text, beside fetching the rows alone and prometheus-client."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from isal import igzip
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from bench.database import migrated_database, single_connection
from bench.measuring import Figure, show, timed
from hpcobs.exposition.families import FAMILIES, JOB_NODE
from hpcobs.exposition.text import write
from hpcobs.storage.scrape import PostgresScrape
from hpcobs.storage.timings import OperationTimings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FINISHED = (1, 100_000)
ROUNDS = 11
JOBS = frozenset({"jobs"})

# 10,000 running jobs on two nodes each, with a reading of everything.
FILL = """
ALTER TABLE jobs DISABLE TRIGGER USER;
INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time, account, partition,
                  cluster_name, name)
SELECT n::text, 'user' || n % 200, 'n' || n % 1000 || ',n' || (n + 1) % 1000, 2, 'running',
       now() - n * interval '1 second', 'account' || n % 50, 'main', 'bench', 'train' || n
FROM generate_series(1, 10000) AS n;
INSERT INTO job_nodes (job_id, node, start_time, cpu_usage, memory_usage_mb, gpu_usage)
SELECT id, node, start_time, random() * 100, (random() * 64000)::int, random() * 100
FROM jobs, unnest(string_to_array(nodes, ',')) AS node;
"""
FINISH = """
WITH made AS (
    INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time, end_time)
    SELECT 'f' || n, 'user' || n %% 200, 'n1,n2', 2, 'completed', now() - interval '1 day', now()
    FROM generate_series((SELECT count(*) FROM jobs WHERE state = 'completed') + 1, %(count)s) AS n
    RETURNING id, nodes, start_time
)
INSERT INTO job_nodes (job_id, node, start_time, cpu_usage, memory_usage_mb, gpu_usage)
SELECT id, node, start_time, 1, 1, 1 FROM made, unnest(string_to_array(nodes, ',')) AS node
"""

# The floor: the same rows as a scrape reads, with numbers in the format in which they are stored.
JOB_NODES = b"""
SELECT jobs.id, jobs.user_name, placed.node, date_part('epoch', now() - jobs.start_time),
       placed.cpu_usage, placed.memory_usage_mb, placed.gpu_usage
FROM jobs
CROSS JOIN LATERAL (SELECT * FROM job_nodes WHERE job_id = jobs.id ORDER BY node) AS placed
WHERE jobs.state = 'running'
ORDER BY jobs.id, placed.node
"""
JOB_FACTS = b"""
SELECT id, user_name, account, partition, cluster_name, name FROM jobs
WHERE state = 'running' ORDER BY id
"""


def run(all_finished: Sequence[int] = FINISHED) -> None:
    """Measure and print the results, once for each number of finished jobs."""
    with migrated_database() as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL.encode())
        for finished in all_finished:
            connection.execute(FINISH.encode(), {"count": finished})
            connection.execute("VACUUM ANALYZE jobs")
            connection.execute("VACUUM ANALYZE job_nodes")
            _measure(url, connection, finished)


def _measure(url: str, connection: psycopg.Connection[Any], finished: int) -> None:
    source = PostgresScrape(single_connection(url), OperationTimings(), home_cluster="bench")
    scrape = partial(_scrape, source)
    fetch = partial(_fetch, connection)
    registry = _registry(*fetch())
    figures = _in_turn(
        {
            "fetch of the rows, binary": fetch,
            "scrape: rows to text": scrape,
            "COPY of the rows to the client": partial(_copy, connection),
            "prometheus-client's generate_latest, of a full registry": partial(
                generate_latest, registry
            ),
        }
    )
    page = scrape().encode()
    zipped = [timed(partial(igzip.compress, page, 1)) * 1000 for _ in range(ROUNDS)]
    show(
        f"A scrape of {page.count(b'hpc_') // 1000:,},000 series, {len(page) / 1e6:.1f} MB, "
        f"{ROUNDS} rounds; finished jobs: {finished:,}\n"
        f"a fresh process grew by {_memory(url):.0f} MB at its first scrape",
        figures[0],
        [*figures[1:], Figure("gzip of the text, isal 1", "ms", zipped)],
        target="≤ 3 × the fetch, ≤ 1/6 of generate_latest, ≤ 60 MB; gzip ≤ 15 % of the scrape",
    )


def _in_turn(work: dict[str, Callable[[], object]]) -> Sequence[Figure]:
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, what in work.items():
            times[name].append(timed(what) * 1000)
    return [Figure(name, "ms", values) for name, values in times.items()]


def _scrape(source: PostgresScrape) -> str:
    with source.snapshot(JOBS) as snapshot:
        return write(snapshot, openmetrics=False)


def _fetch(connection: psycopg.Connection[Any]) -> tuple[list[Any], list[Any]]:
    job_nodes = connection.execute(JOB_NODES, binary=True).fetchall()
    return job_nodes, connection.execute(JOB_FACTS, binary=True).fetchall()


def _copy(connection: psycopg.Connection[Any]) -> int:
    read = 0
    for query in (JOB_NODES, JOB_FACTS):
        with connection.cursor().copy(b"COPY (" + query + b") TO STDOUT") as copy:
            read += sum(len(block) for block in copy)
    return read


def _registry(job_nodes: list[Any], facts: list[Any]) -> CollectorRegistry:
    registry = CollectorRegistry()
    per_node = [family for family in FAMILIES if family.labels == JOB_NODE]
    # Without the cluster, which nodes of the home cluster do not have in their labels.
    gauges = [Gauge(f.name, f.help, f.labels[:3], registry=registry) for f in per_node]
    for row in job_nodes:
        for gauge, value in zip(gauges, row[3:], strict=True):
            gauge.labels(*row[:3]).set(value)
    (info,) = [family for family in FAMILIES if family.name == "hpc_job_info"]
    gauge = Gauge(info.name, info.help, info.labels, registry=registry)
    for row in facts:
        gauge.labels(*row).set(1)
    return registry


def _memory(url: str) -> float:
    """Return by how many MB a new process grows at its first scrape."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_growth, url).result()


def _growth(url: str) -> float:
    source = PostgresScrape(single_connection(url), OperationTimings(), home_cluster="bench")
    # A small scrape first: imports and the connection are not the growth that is measured.
    with source.snapshot(frozenset({"service"})) as snapshot:
        write(snapshot, openmetrics=False)
    before = _peak_megabytes()
    _scrape(source).encode()
    return _peak_megabytes() - before


def _peak_megabytes() -> float:
    """Return the process's highest resident memory so far. Linux only, 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
