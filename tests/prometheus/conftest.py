"""Two sites, one without changes and one with a simulated cluster, and a real Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.services import Service
from tests.prometheus.server import PROMETHEUS, PROMTOOL, Prometheus, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTILE = 'quote " backslash \\ new\nline\rreturn\ttab {brace} é中🚀 ' + "x" * 180
NODE = "n1\"'\\{x=é中🚀}" + "x" * 190

ENVIRON = {"CLUSTER_NAME": "lab", "COLLECT_INTERVAL_SECONDS": "1"}


@pytest.fixture(autouse=True, scope="session")
def _installed() -> None:
    if PROMETHEUS is None or PROMTOOL is None:
        pytest.skip("Debian's package prometheus is not installed")


@pytest.fixture(scope="package")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Start a site whose data no longer changes."""
    folder = tmp_path_factory.mktemp("still") / "data"
    with Service(folder, "--no-simulate", environ=ENVIRON) as service:
        fill(service)
        yield service


@pytest.fixture(scope="package")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Start a site with a simulated cluster."""
    folder = tmp_path_factory.mktemp("living") / "data"
    with Service(folder, "--speed=60", "--jobs=16", environ=ENVIRON) as service:
        yield service


@pytest.fixture(scope="package")
def prometheus(
    still: Service, living: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """Start a Prometheus that has scraped both sites a few times, every second."""
    sites = [
        Site("still", still.url, still.folder / "token"),
        Site("living", living.url, living.folder / "token", access="bearer_token_file"),
    ]
    shards = [
        Site(
            f"shard{number}",
            still.url,
            still.folder / "token",
            {"shard": [f"{number}/2"]},
            access="basic_auth",
        )
        for number in range(2)
    ]
    with Prometheus(tmp_path_factory.mktemp("prometheus"), *sites, *shards) as running:
        running.wait_until(lambda: len(running.query("count_over_time(up[1m]) > 3")) == 4)
        yield running


def fill(service: Service) -> None:
    """Send jobs in all states, samples of running jobs, GPUs, and names that need escaping."""
    start = datetime.now(UTC) - timedelta(minutes=10)
    jobs = [
        job("1", user="ada", node_list=["n1"]),
        job("2", user="ada", node_list=["n1", "n2"], cpus_per_node="4(x2)"),
        job("3", user=HOSTILE, node_list=[NODE], name=HOSTILE, account=HOSTILE),
        job("4", user="grace", node_list=["n2"]),
        job("5", user="grace", node_list=["n2"]),
    ]
    with service.client() as client:
        for event in jobs:
            event["timestamp"] = start.isoformat()
            assert client.post("/v1/events/job-started", json=event).is_success
        for job_id, state in (("4", "failed"), ("5", "cancelled")):
            end = {"job_id": job_id, "final_state": state, "timestamp": start.isoformat()}
            assert client.post("/v1/events/job-finished", json=end).is_success
        for number, (job_id, node) in enumerate(
            (("1", "n1"), ("2", "n1"), ("2", "n2"), ("3", NODE)), start=1
        ):
            assert client.post("/v1/samples", json=batch(job_id, node, number)).is_success
    service.wait_until(
        lambda: all(
            service.get(f"/v1/jobs/{job_id}").get("sample_count", 0) == count
            for job_id, count in (("1", 1), ("2", 2), ("3", 1))
        )
    )


def job(job_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "partition": "main",
        "cpu_allocation": 8,
        "memory_allocation_mb": 16_000,
        "source": "prolog_slurmctld",
        **fields,
    }


def batch(job_id: str, node: str, number: int) -> dict[str, Any]:
    gpu = {
        "gpu_id": f"GPU-{number}",
        "gpu_vendor": "nvidia",
        "utilization_percent": 7.5 * number,
        "memory_used_mb": 1000 * number,
        "memory_total_mb": 81_920,
        "power_watts": 100.25 * number,
        "temperature_celsius": 40 + number,
    }
    sample = {
        "job_id": job_id,
        "timestamp": datetime.now(UTC).isoformat(),
        "cpu_usage": 12.5 * number,
        "memory_usage_mb": 1234 * number,
        "gpu_usage": 7.5 * number,
        "gpus": [gpu],
    }
    host = {"cpus": 64, "memory_total_mb": 256_000, "cpu_load": 0.5 * number}
    return {
        "node": node,
        "batch_id": f"00000000-0000-4000-8000-{number:012}",
        "samples": [sample],
        "host": host,
    }
