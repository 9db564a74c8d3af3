"""Series of nodes: two clusters may have one node name, and several jobs may share one GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs.service.job_events import JobEvents
from tests.builders import AUDIT, ORIGIN, started
from tests.metrics.reading import one, series

if TYPE_CHECKING:
    from hpcobs.service.scrape import Scrape
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query


def test_nodes_of_two_clusters_are_kept_apart(
    scrape: Scrape, store: PostgresStore, query: Query
) -> None:
    events = JobEvents(store, ORIGIN)
    for cluster, load in ((None, 40), ("b", 60)):
        events.job_started(started(job_id="1", cluster_name=cluster), AUDIT)
        usage = "cpu_usage = %s, gpu_usage = %s"
        job_id = "1" if cluster is None else "b.1"
        query(f"UPDATE job_nodes SET {usage} WHERE job_id = %s", load, load, job_id)
        query("INSERT INTO job_gpus VALUES (%s, 'n1', '0', 'amd', now(), %s)", job_id, load)
    query("INSERT INTO nodes VALUES ('n1', 'lab', 'mixed', 4), ('n1', 'b', 'down', 8)")
    query("INSERT INTO nodes VALUES ('n1', 'c', 'idle', 2)")
    found = series(scrape.render())
    for labels, load, cpus in (({}, 40, 4), ({"cluster": "b"}, 60, 8)):
        assert found[one("hpc_node_cpu_usage_percent", node="n1", **labels)] == load
        assert found[one("hpc_node_gpu_usage_percent", node="n1", **labels)] == load
        assert found[one("hpc_node_job_count", node="n1", **labels)] == 1
        assert found[one("hpc_node_total_cpus", node="n1", **labels)] == cpus
    assert found[one("hpc_node_job_count", node="n1", cluster="c")] == 0
    job = {"job_id": "b.1", "node": "n1", "cluster": "b"}
    assert found[one("hpc_job_cpu_usage_percent", user="ada", **job)] == 60
    device = {"gpu_id": "0", "gpu_vendor": "amd"}
    assert found[one("hpc_job_gpu_device_utilization_percent", **job, **device)] == 60


GPUS = [
    ({"1": {"a": 90}, "2": {"b": 10}}, 50),
    ({"1": {"a": 90}, "2": {"b": 10}, "3": {"b": 10}}, 50),
    ({"1": {"a": 80}, "2": {"a": 80}, "3": {"a": 80}}, 80),
    ({"1": {"a": 90, "b": 60}, "2": {"b": 60}, "3": {"c": 0}}, 50),
    ({"1": {}, "2": {}}, 100),
    ({"1": {}, "2": {"a": 0}, "3": {"a": 0}}, 50),
]
"""The GPUs of each job on a node with their use, and the use of the node's GPUs.

A job without readings of single GPUs uses 100 %.
"""


@pytest.mark.parametrize(("jobs", "expected"), GPUS)
def test_gpu_that_jobs_share_counts_once(
    scrape: Scrape,
    store: PostgresStore,
    query: Query,
    jobs: dict[str, dict[str, int]],
    expected: float,
) -> None:
    events = JobEvents(store, ORIGIN)
    for job_id, gpus in jobs.items():
        events.job_started(started(job_id=job_id), AUDIT)
        usage = sum(gpus.values()) / len(gpus) if gpus else 100
        query("UPDATE job_nodes SET gpu_usage = %s WHERE job_id = %s", usage, job_id)
        for gpu_id, used in gpus.items():
            values = "(%s, 'n1', %s, 'nvidia', now(), %s)"
            query(f"INSERT INTO job_gpus VALUES {values}", job_id, gpu_id, used)
    found = series(scrape.render())
    assert found[one("hpc_node_gpu_usage_percent", node="n1")] == expected


def test_latest_reading_of_shared_gpu_counts(
    scrape: Scrape, store: PostgresStore, query: Query
) -> None:
    events = JobEvents(store, ORIGIN)
    for job_id, seconds, used in (("1", 30, 10), ("2", 0, 70), ("3", 700, 100)):
        events.job_started(started(job_id=job_id), AUDIT)
        at = "now() - %s * interval '1 second'"
        query(
            f"INSERT INTO job_gpus VALUES (%s, 'n1', 'a', 'amd', {at}, %s)", job_id, seconds, used
        )
    query("UPDATE job_nodes SET gpu_usage = 5, last_sample_at = now()")
    found = series(scrape.render())
    # Job 3's node has not reported its GPU for ten minutes, so the job counts by its own value.
    assert found[one("hpc_node_gpu_usage_percent", node="n1")] == (70 + 5) / 2
