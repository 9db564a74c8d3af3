"""The simulated cluster in the service: it is marked as simulated, and recovers after a restart."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.local.services import Service

if TYPE_CHECKING:
    from collections.abc import Iterator


EVENTFUL = ("--speed=400", "--seed=34")
"""Jobs run for seconds, and all kinds of them appear within the first ten."""

ENVIRON = {"COLLECT_INTERVAL_SECONDS": "1"}
TERMINAL = ("completed", "failed", "cancelled")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a service whose simulated jobs take seconds, until some of them have ended."""
    folder = tmp_path_factory.mktemp("simulation") / "data"
    with Service(folder, *EVENTFUL, environ=ENVIRON) as running:
        running.wait_until(lambda: {"completed", "failed", "running"} <= set(states(running)))
        running.wait_until(lambda: bool(jobs(running, raw_state="OUT_OF_MEMORY")))
        yield running


def jobs(service: Service, raw_state: str | None = None, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get("/v1/jobs", limit=1000, **query)["jobs"]
    if raw_state is None:
        return found
    return [job for job in found if job["scheduler"].get("raw_state") == raw_state]


def states(service: Service) -> Counter[str]:
    return Counter(job["state"] for job in jobs(service))


def test_all_jobs_are_marked_as_simulated(service: Service) -> None:
    assert {job["scheduler"]["type"] for job in jobs(service)} == {"mock"}


def test_series_of_running_jobs_grow(service: Service) -> None:
    before = samples_stored(service)
    service.wait_until(lambda: samples_stored(service) > before)
    longest = max(jobs(service, state="running"), key=lambda job: job["sample_count"])
    points = service.get(f"/v1/jobs/{longest['id']}/metrics")["samples"]
    assert len(points) >= 1
    latest = datetime.fromisoformat(points[-1]["timestamp"])
    assert (datetime.now(UTC) - latest).total_seconds() < 600


def samples_stored(service: Service) -> float:
    return scraped(service)["hpc_collector_samples_total"][0]


def scraped(service: Service) -> dict[str, list[float]]:
    with service.client() as client:
        text = client.get("/metrics").text
    values: dict[str, list[float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, []).append(sample.value)
    return values


def test_scrape_has_jobs_gpus_and_nodes(service: Service) -> None:
    scrape = scraped(service)
    for name in ("cpu_usage_percent", "memory_usage_bytes", "runtime_seconds", "cpus", "info"):
        assert scrape[f"hpc_job_{name}"], name
    assert scrape["hpc_job_gpu_device_power_watts"]
    assert len(scrape["hpc_node_total_cpus"]) == 8
    assert scrape["hpc_collector_rejected_total"] == [0]


def test_out_of_memory_job_shows_highest_memory(service: Service) -> None:
    (job, *_) = jobs(service, raw_state="OUT_OF_MEMORY")
    assert (job["state"], job["scheduler"]["signal"]) == ("failed", 125)
    service.wait_until(lambda: bool(service.get(f"/v1/jobs/{job['id']}")["sample_count"]))
    ended = service.get(f"/v1/jobs/{job['id']}")
    assert 0 < ended["max_memory_usage_mb"] <= ended["allocated_memory_mb"]


def test_two_node_job_is_found_on_both(service: Service) -> None:
    wide = next(job for job in jobs(service) if job["node_count"] == 2)
    for node in wide["nodes"]:
        assert wide["id"] in {job["id"] for job in jobs(service, node=node)}


def test_no_simulated_message_is_rejected(service: Service) -> None:
    assert "was rejected" not in (service.folder / "logs" / "simulator.log").read_text()


def test_restart_ends_running_jobs_as_failed(tmp_path_factory: pytest.TempPathFactory) -> None:
    service = Service(tmp_path_factory.mktemp("again") / "data", environ=ENVIRON)
    with service:
        service.wait_until(lambda: states(service)["running"] >= 5)
        service.stop()
    with service:
        service.wait_until(lambda: len(jobs(service, raw_state="NODE_FAIL")) >= 5)
        ended = jobs(service, raw_state="NODE_FAIL")
        assert {job["state"] for job in ended} == {"failed"}
        service.wait_until(lambda: states(service)["running"] >= 5)
        running = {int(job["id"]) for job in jobs(service, state="running")}
        assert min(running) > max(int(job["id"]) for job in ended)


def past(service: Service) -> list[dict[str, Any]]:
    return [job for job in jobs(service) if job["state"] in TERMINAL]


def test_demo_starts_with_history(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("demo") / "data"
    with Service(folder, environ={"SEED_DEMO": "1", **ENVIRON}) as service:
        service.wait_until(lambda: len(past(service)) > 40)
        starts = [datetime.fromisoformat(job["start_time"]) for job in past(service)]
        assert (max(starts) - min(starts)).total_seconds() > 3600
        service.wait_until(lambda: samples_stored(service) > 3000)
