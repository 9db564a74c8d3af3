"""Prometheus returns the values that the service's API returns."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.prometheus.conftest import HOSTILE, NODE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.local.services import Service
    from tests.prometheus.server import Prometheus

    Readings = dict[str, Mapping[str, float]]

STATES = ("pending", "running", "completed", "failed", "cancelled")


def jobs(service: Service, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get("/v1/jobs", limit=1000, **query)["jobs"]
    return found


def test_every_scrape_succeeds(prometheus: Prometheus) -> None:
    targets = prometheus.get("/api/v1/targets")["activeTargets"]
    assert [(target["health"], target["lastError"]) for target in targets] == [("up", "")] * 4


def test_state_counts_equal_those_of_api(still: Service, prometheus: Prometheus) -> None:
    found = prometheus.by("state", 'hpc_job_state_total{job="still"}')
    assert found == {state: service_total(still, state) for state in STATES}
    assert prometheus.value('hpc_job_total{job="still"}') == 5


def service_total(service: Service, state: str) -> int:
    total: int = service.get("/v1/jobs", state=state)["total"]
    return total


@pytest.mark.parametrize(
    ("field", "expression"),
    [
        ("cpu_usage", "avg by (job_id) (hpc_job_cpu_usage_percent{job='still'})"),
        ("memory_usage_mb", "sum by (job_id) (hpc_job_memory_usage_bytes{job='still'}) / 1048576"),
        ("gpu_usage", "avg by (job_id) (hpc_job_gpu_usage_percent{job='still'})"),
        ("allocated_cpus", "hpc_job_cpus{job='still'}"),
        ("allocated_memory_mb", "hpc_job_memory_limit_bytes{job='still'} / 1048576"),
    ],
)
def test_usage_of_running_jobs_equals_api(
    still: Service, prometheus: Prometheus, field: str, expression: str
) -> None:
    expected = {job["id"]: job[field] for job in jobs(still, state="running")}
    assert len(expected) == 3
    assert prometheus.by("job_id", expression) == pytest.approx(expected)


def test_runtime_of_job_equals_api(still: Service, prometheus: Prometheus) -> None:
    found = prometheus.by("job_id", "max by (job_id) (hpc_job_runtime_seconds{job='still'})")
    expected = {job["id"]: job["runtime_seconds"] for job in jobs(still, state="running")}
    assert found == pytest.approx(expected, abs=10)


def test_gpu_series_equal_the_readings(still: Service, prometheus: Prometheus) -> None:
    (point,) = still.get("/v1/jobs/1/gpus")["samples"]
    families = ("utilization_percent", "memory_used_bytes", "power_watts", "temperature_celsius")
    found = [
        prometheus.value(f"hpc_job_gpu_device_{family}{{job='still',job_id='1'}}")
        for family in families
    ]
    assert found == [
        point["utilization_percent"],
        point["memory_used_mb"] * 1048576,
        point["power_watts"],
        point["temperature_celsius"],
    ]


def test_node_series_equal_the_nodes_reports(prometheus: Prometheus) -> None:
    assert prometheus.by("node", "hpc_node_total_cpus{job='still'}") == {
        "n1": 64,
        "n2": 64,
        NODE: 64,
    }
    assert prometheus.by("node", "hpc_node_job_count{job='still'}") == {"n1": 2, "n2": 1, NODE: 1}
    silent = prometheus.by("node", "time() - hpc_node_last_seen_timestamp_seconds{job='still'}")
    assert all(0 <= seconds < 3600 for seconds in silent.values())


def test_hostile_names_reach_prometheus_unchanged(still: Service, prometheus: Prometheus) -> None:
    ((labels, _),) = prometheus.query("hpc_job_info{job='still',job_id='3'}")
    found = still.get("/v1/jobs/3")
    assert labels["user"] == found["user"] == HOSTILE
    assert labels["name"] == found["name"] == HOSTILE
    assert labels["account"] == found["scheduler"]["account"] == HOSTILE
    ((labels, _),) = prometheus.query("hpc_job_cpu_usage_percent{job='still',job_id='3'}")
    assert [labels["node"]] == found["nodes"] == [NODE]


def test_shards_together_are_the_whole(prometheus: Prometheus) -> None:
    whole = prometheus.query('{job="still",__name__=~"hpc_(job|node)_.*"}')
    shards = prometheus.query('{job=~"shard.",__name__=~"hpc_(job|node)_.*"}')
    key = {tuple(sorted(labels.items())) for labels, _ in shards}
    assert len(shards) == len(key)
    assert key == {tuple(sorted(labels.items())) for labels, _ in whole}


def test_series_of_living_cluster_change(prometheus: Prometheus) -> None:
    prometheus.wait_until(lambda: prometheus.value("hpc_job_total{job='living'}") > 16, 60)
    prometheus.wait_until(
        lambda: len(prometheus.query("hpc_job_cpu_usage_percent{job='living'}")) > 5
    )
    for counter in ("hpc_job_total", "hpc_collector_samples_total"):
        assert prometheus.value(f"resets({counter}{{job='living'}}[5m])") == 0


def readings_of_prometheus(prometheus: Prometheus) -> Readings:
    """Return states, usage of jobs, and jobs per node of the living cluster."""
    memory = "sum by (job_id) (hpc_job_memory_usage_bytes{job='living'}) / 1048576"
    return {
        "states": prometheus.by("state", "hpc_job_state_total{job='living'}"),
        "cpu": prometheus.by("job_id", "avg by (job_id) (hpc_job_cpu_usage_percent{job='living'})"),
        "memory": prometheus.by("job_id", memory),
        "gpu": prometheus.by("job_id", "avg by (job_id) (hpc_job_gpu_usage_percent{job='living'})"),
        "nodes": prometheus.by("node", "hpc_node_job_count{job='living'} > 0"),
    }


def scraped_at(prometheus: Prometheus) -> float:
    return prometheus.value("timestamp(hpc_job_total{job='living'})")


def readings_of_api(service: Service) -> Readings:
    """Return the same values as the API shows them."""
    running = jobs(service, state="running")

    def usage(field: str) -> dict[str, float]:
        return {job["id"]: job[field] for job in running if field in job}

    return {
        "states": {state: service_total(service, state) for state in STATES},
        "cpu": usage("cpu_usage"),
        "memory": usage("memory_usage_mb"),
        "gpu": usage("gpu_usage"),
        "nodes": dict(Counter(node for job in running for node in job["nodes"])),
    }


def test_living_cluster_equals_the_api(living: Service, prometheus: Prometheus) -> None:
    # The cluster changes all the time. A comparison counts if the API's values were the same before
    # and after the scrape.
    prometheus.wait_until(
        lambda: len(prometheus.query("hpc_job_cpu_usage_percent{job='living'}")) > 5, 60
    )
    for _ in range(60):
        before, since = readings_of_api(living), time.time()
        prometheus.wait_until(lambda since=since: scraped_at(prometheus) > since)
        found = readings_of_prometheus(prometheus)
        if readings_of_api(living) == before:
            assert found.keys() == before.keys()
            for what, values in before.items():
                assert found[what] == pytest.approx(values), what
            return
    raise AssertionError("the API's values changed during every scrape")
