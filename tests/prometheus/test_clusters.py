"""Two clusters at one site have a node of the same name, on which jobs share a GPU."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import gpus
from hpcobs.exposition.families import FAMILIES
from tests.local.services import Service
from tests.prometheus.conftest import ENVIRON, job
from tests.prometheus.server import Prometheus, Site
from tests.prometheus.test_dashboards import PANELS, filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    Devices = dict[str, tuple[float, float]]

# Of each job on n1: its cluster, and its GPUs with their utilization and power.
JOBS: list[tuple[str, str, Devices]] = [
    ("1", "lab", {"A": (60, 100), "B": (0, 50)}),
    ("2", "lab", {"A": (60, 100)}),
    ("1", "b", {"A": (45, 200)}),
]
CPUS = {"lab": 64, "b": 8}
SHARED = "A"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("clusters") / "data"
    with Service(folder, "--no-simulate", environ=ENVIRON) as running:
        fill(running)
        yield running


@pytest.fixture(scope="module")
def prometheus(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    site = Site("hpcobs", service.url, service.folder / "token")
    with Prometheus(tmp_path_factory.mktemp("prometheus"), site) as running:
        running.wait_until(lambda: running.query("hpc_node_job_count"))
        yield running


def fill(service: Service) -> None:
    now = datetime.now(UTC).isoformat()
    with service.client() as client:
        for number, (job_id, cluster, devices) in enumerate(JOBS, start=1):
            named = {"cluster_name": cluster}
            event = job(job_id, user="ada", node_list=["n1"], timestamp=now, **named)
            assert client.post("/v1/events/job-started", json=event).is_success
            body = {**batch(number, job_id, devices), **named, "host": {"cpus": CPUS[cluster]}}
            assert client.post("/v1/samples", json=body).is_success
    service.wait_until(
        lambda: all(
            service.get(f"/v1/jobs/{job_id}").get("sample_count") for job_id in ("1", "2", "b.1")
        )
    )


def batch(number: int, job_id: str, devices: Devices) -> dict[str, Any]:
    readings = [
        {
            "gpu_id": gpu_id,
            "gpu_vendor": "nvidia",
            "utilization_percent": utilization,
            "power_watts": power,
            "shared": gpu_id == SHARED,
        }
        for gpu_id, (utilization, power) in devices.items()
    ]
    sample = {
        "job_id": job_id,
        "timestamp": datetime.now(UTC).isoformat(),
        "cpu_usage": 10 * number,
        "memory_usage_mb": 1,
        "gpu_usage": sum(utilization for utilization, _ in devices.values()) / len(devices),
        "gpus": readings,
    }
    batch_id = f"00000000-0000-4000-8000-{number:012}"
    return {"node": "n1", "batch_id": batch_id, "samples": [sample]}


def by_cluster(prometheus: Prometheus, name: str) -> dict[str, float]:
    """Return the values of n1 of each cluster. The home cluster has no such label."""
    found = [(labels.get("cluster", ""), value) for labels, value in prometheus.query(name)]
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize(
    ("name", "home", "other"),
    [
        ("hpc_node_job_count", 2, 1),
        ("hpc_node_total_cpus", CPUS["lab"], CPUS["b"]),
        ("hpc_node_cpu_usage_percent", 15, 30),
        ("hpc_node_gpu_usage_percent", 30, 45),
    ],
)
def test_nodes_of_one_name_have_own_values(
    prometheus: Prometheus, name: str, home: float, other: float
) -> None:
    assert by_cluster(prometheus, name) == {"": home, "b": other}


@pytest.mark.parametrize(
    ("title", "expected"), [("Allocated GPUs", 3), ("Power", 350), ("Mean utilization", 35)]
)
def test_panel_counts_shared_gpu_once(prometheus: Prometheus, title: str, expected: float) -> None:
    (query,) = PANELS[f"{gpus.DASHBOARD.uid}: {title}"].queries
    assert prometheus.value(filled(query, "")) == expected


def test_jobs_panel_counts_shared_gpu_once(prometheus: Prometheus) -> None:
    (query,) = PANELS["hpcobs-jobs: GPU utilization"].queries
    assert prometheus.value(filled(query, "")) == 35


def test_example_counts_shared_gpu_once(prometheus: Prometheus) -> None:
    (family,) = [one for one in FAMILIES if one.name == "hpc_job_gpu_device_power_watts"]
    assert prometheus.value(family.query) == 350


def test_series_of_jobs_gpus_are_marked(service: Service) -> None:
    for job_id in ("1", "2", "b.1"):
        points = service.get(f"/v1/jobs/{job_id}/gpus")["samples"]
        assert all(point["shared"] is (point["gpu_id"] == SHARED) for point in points)


def test_user_of_two_jobs_idles_gpu_once(prometheus: Prometheus) -> None:
    (query,) = PANELS["hpcobs-gpus: Idle GPUs by user"].queries
    everything = query.expression.replace("< 5", "< 101")
    assert prometheus.by("user", filled(type(query)(everything), "")) == {"ada": 3}
