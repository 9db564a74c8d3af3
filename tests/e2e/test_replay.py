"""Recorded runs of real jobs: the API returns what was sent through its routes."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from statistics import fmean
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.site import RUNNING, Sent, Site, token_of

if TYPE_CHECKING:
    from collections.abc import Iterable


ENDS = {
    "1": ("completed", 0, 0, ["n1"]),
    "2": ("failed", 3, 0, ["n1"]),
    "4": ("failed", 0, 11, ["n1"]),
    "5": ("failed", 0, 125, ["n2"]),
    "7": ("cancelled", 0, 15, ["n1"]),
    "12": ("completed", 0, 0, ["n1"]),
    "13": ("failed", 1, 0, ["n2"]),
    "9": ("failed", 2, 0, ["n2"]),
    "10": ("failed", 5, 0, ["n1", "n2"]),
    "11": ("completed", 0, 0, ["n1"]),
}


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("job_id", ENDS)
def test_job_ends_as_in_slurm(job_id: str, replayed: Site) -> None:
    job = replayed.service.get(f"/v1/jobs/{job_id}")
    scheduler = job["scheduler"]
    end = (job["state"], scheduler["exit_code"], scheduler["signal"], job["nodes"])
    assert end == ENDS[job_id]
    assert (job["user"], job["cluster_name"]) == ("www-data", "lab")
    assert (scheduler["type"], scheduler["partition"]) == ("slurm", "main")
    assert "account" not in scheduler


def test_exactly_recorded_jobs_exist(replayed: Site) -> None:
    page = replayed.service.get("/v1/jobs")
    assert {job["id"] for job in page["jobs"]} == {*ENDS, RUNNING}
    assert page["total"] == len(ENDS) + 1


def test_names_come_from_controller_hooks(replayed: Site) -> None:
    names = {job["id"]: job["name"] for job in replayed.service.get("/v1/jobs")["jobs"]}
    assert names["1"] == "success"
    assert names["10"] == names[RUNNING] == "multi"


def test_controller_states_are_kept_raw(replayed: Site) -> None:
    assert replayed.service.get("/v1/jobs/7")["scheduler"]["raw_state"] == "CANCELLED by 33"
    assert replayed.service.get("/v1/jobs/5")["scheduler"]["raw_state"] == "OUT_OF_MEMORY"


def test_array_tasks_have_array_job_id(replayed: Site) -> None:
    tasks = {
        job["array_task_id"]: (job["id"], job["array_job_id"])
        for job in replayed.service.get("/v1/jobs")["jobs"]
        if "array_job_id" in job
    }
    assert tasks == {"0": ("12", "9"), "1": ("13", "9"), "2": ("9", "9")}


def test_times_are_those_of_hooks(replayed: Site) -> None:
    for job_id in ("1", "2", "10"):
        hooks = [hook for hook in replayed.hooks if hook.job_id == job_id]
        job = replayed.service.get(f"/v1/jobs/{job_id}")
        assert time(job["start_time"]) == min(hook.at for hook in hooks if hook.starts)
        assert time(job["end_time"]) in [hook.at for hook in hooks if not hook.starts]
        assert 0 < job["runtime_seconds"] < 10


def test_requeued_job_shows_second_run(replayed: Site) -> None:
    job = replayed.service.get("/v1/jobs/11")
    second = [hook for hook in replayed.hooks if hook.job_id == "11" and hook.starts][2:]
    assert job["restart_count"] == 1
    assert time(job["start_time"]) == second[0].at
    assert job["nodes"] == ["n1"]


@pytest.mark.parametrize("job_id", [*ENDS, RUNNING])
def test_statistics_count_each_sample_once(job_id: str, replayed: Site) -> None:
    job = replayed.service.get(f"/v1/jobs/{job_id}")
    since = time(job["start_time"])
    samples = [it for it in replayed.samples if it.job_id == job_id and it.at >= since]
    assert job["sample_count"] == len(samples) == 8 * len(job["nodes"])
    assert time(job["last_sample_at"]) == max(sample.at for sample in samples)
    assert job["avg_cpu_usage"] == pytest.approx(fmean(sample.cpu for sample in samples))
    assert job["max_cpu_usage"] == max(sample.cpu for sample in samples)
    assert job["max_memory_usage_mb"] == sum(highest_memory(samples).values())
    gpu = [sample.gpu for sample in samples if sample.gpu is not None]
    assert job.get("avg_gpu_usage") == (pytest.approx(fmean(gpu)) if gpu else None)
    assert job.get("max_gpu_usage") == (max(gpu) if gpu else None)


def highest_memory(samples: Iterable[Sent]) -> dict[str, int]:
    highest: dict[str, int] = defaultdict(int)
    for sample in samples:
        highest[sample.node] = max(highest[sample.node], sample.memory_mb)
    return highest


def test_series_has_each_sample_once_in_order(replayed: Site) -> None:
    for job_id in ("10", "11"):
        response = replayed.service.get(f"/v1/jobs/{job_id}/metrics")
        got = [
            (time(point["timestamp"]), point["node"], point["cpu_usage"], point["memory_usage_mb"])
            for point in response["samples"]
        ]
        sent = [
            (sample.at, sample.node, sample.cpu, sample.memory_mb)
            for sample in replayed.samples
            if sample.job_id == job_id
        ]
        assert got == sorted(sent)
        assert response["total"] == len(sent) == 16


def test_gpu_readings_are_returned(replayed: Site) -> None:
    response = replayed.service.get("/v1/jobs/1/gpus")
    assert response["total"] == 8
    assert {(point["gpu_id"], point["power_watts"]) for point in response["samples"]} == {
        ("0", 250.5)
    }


def trail(site: Site, job_id: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = site.service.get(f"/v1/jobs/{job_id}/audit")["events"]
    return events


def test_audit_rows_name_sender_and_change(replayed: Site) -> None:
    rows = trail(replayed, "2")
    assert rows[0]["change_type"] == "upsert"
    assert {row["changed_by"] for row in rows} <= {"controller", "node-n1"}
    assert {row["source"] for row in rows} == {"slurm"}
    assert rows[-1]["snapshot"]["state"] == "failed"
    correlation_ids = {response.headers["x-correlation-id"] for response in replayed.responses}
    assert {row["correlation_id"] for row in rows} <= correlation_ids


def test_controller_correction_is_marked_as_correction(replayed: Site) -> None:
    rows = trail(replayed, "7")
    assert rows[-1]["change_type"] == "correction"
    assert rows[-1]["changed_by"] == "controller"
    states = [row["snapshot"]["state"] for row in rows]
    assert states[-2:] == ["completed", "cancelled"]


def test_first_run_of_requeued_job_stays_in_trail(replayed: Site) -> None:
    states = [row["snapshot"]["state"] for row in trail(replayed, "11")]
    nodes = [row["snapshot"]["nodes"] for row in trail(replayed, "11")]
    assert states.count("running") >= 2
    assert "completed" in states[: len(states) - states[::-1].index("running")]
    assert "n2" in str(nodes[0])
    assert "n1" in str(nodes[-1])


def test_samples_leave_no_audit_rows(replayed: Site) -> None:
    events = Counter(hook.job_id for hook in replayed.hooks)
    for job_id in ENDS:
        assert len(trail(replayed, job_id)) <= events[job_id] + 1


def test_scrape_has_latest_samples_of_running_job(replayed: Site) -> None:
    scrape = replayed.scraped()
    per_job = {dict(labels)["job_id"] for _, labels in scrape if "job_id" in dict(labels)}
    assert per_job == {RUNNING}
    for node in ("n1", "n2"):
        latest = max(
            (
                sample
                for sample in replayed.samples
                if (sample.job_id, sample.node) == (RUNNING, node)
            ),
            key=lambda sample: sample.at,
        )
        labels = frozenset({"job_id": RUNNING, "user": "www-data", "node": node}.items())
        assert scrape["hpc_job_cpu_usage_percent", labels] == latest.cpu
        assert scrape["hpc_job_memory_usage_bytes", labels] == latest.memory_mb * 1024 * 1024
        assert scrape["hpc_job_gpu_usage_percent", labels] == latest.gpu
        assert 60 <= scrape["hpc_job_runtime_seconds", labels] < 3600


def test_scrape_counts_jobs_and_samples(replayed: Site) -> None:
    scrape = replayed.scraped()

    def value(name: str, **labels: str) -> float:
        return scrape[name, frozenset(labels.items())]

    states = Counter(state for state, *_ in ENDS.values()) + Counter(running=1)
    for state in ("pending", "running", "completed", "failed", "cancelled"):
        assert value("hpc_job_state_total", state=state) == states[state]
    assert value("hpc_job_total") == len(ENDS) + 1
    assert value("hpc_collector_samples_total") == len(replayed.samples)
    sent_again = replayed.entries_posted - len(replayed.samples)
    assert 0 < value("hpc_collector_duplicates_total") <= sent_again
    assert value("hpc_collector_rejected_total") == 0
    assert value("hpc_collector_queue_depth") == 0
    assert value("hpc_node_total_cpus", node="n1") == 2
    assert value("hpc_node_state", node="n1", state="mixed") == 1


def test_second_replay_changes_nothing(replayed: Site) -> None:
    before = {job["id"]: job for job in replayed.service.get("/v1/jobs")["jobs"]}
    rows = {job_id: len(trail(replayed, job_id)) for job_id in before}
    assert set(replayed.call(replayed.hooks)) == {"skipped"}
    after = {job["id"]: job for job in replayed.service.get("/v1/jobs")["jobs"]}
    for job in (before[RUNNING], after[RUNNING]):
        del job["runtime_seconds"]
    assert after == before
    assert {job_id: len(trail(replayed, job_id)) for job_id in before} == rows


def test_node_token_works_for_its_node_only(replayed: Site) -> None:
    hook = next(hook for hook in replayed.hooks if hook.node == "n2")
    with replayed.service.client(token_of(replayed.service, "n1")) as client:
        assert client.post(hook.path, json=hook.event).status_code == httpx.codes.FORBIDDEN
        batch = {"node": "n2", "batch_id": "5b0bd0f4-1f1c-4b11-9d3c-b2a3a2d1c001", "samples": []}
        assert client.post("/v1/samples", json=batch).status_code == httpx.codes.FORBIDDEN
