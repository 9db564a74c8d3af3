"""Clients of hpc-job-observability-service, whose API this one continues, work with a token alone.

Each call has the fields that the Go service documents for it, or that its own Slurm hooks send.
docs/api.md lists the calls that end differently.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functions.gateway import Answer, Gateway

HEADERS = {"x-changed-by": "syncer-2", "x-source": "scheduler", "x-correlation-id": "run-19"}
JOB: dict[str, Any] = {"id": "job-17", "user": "mira", "nodes": ["cn-07", "cn-08"]}
SCHEDULER: dict[str, Any] = {
    "type": "slurm",
    "external_job_id": "5501",
    "raw_state": "COMPLETING",
    "submit_time": "2026-01-20T09:55:00Z",
    "partition": "gpu",
    "account": "climate",
    "qos": "normal",
    "priority": 4294901000,
    "exit_code": 0,
    "state_reason": "None",
    "time_limit_minutes": 60,
    "extra": {"comment": "hi", "retries": 3, "flags": ["a"], "wide": {"x": True}, "none": None},
}
START: dict[str, Any] = {
    "job_id": "5502",
    "user": "mira",
    "node_list": ["cn-07", "cn-08"],
    "cpu_allocation": 16,
    "memory_allocation_mb": 65536,
    "gpu_allocation": 2,
    "gpu_vendor": "nvidia",
    "gpu_devices": ["GPU-0a", "GPU-0b"],
    "cgroup_path": "/sys/fs/cgroup/system.slice/slurmstepd.scope/job_5502",
    "partition": "gpu",
    "account": "climate",
    "timestamp": "2026-01-22T10:00:00Z",
}
END: dict[str, Any] = {
    "job_id": "5502", "final_state": "completed", "timestamp": "2026-01-22T12:30:00Z"
}  # fmt: skip
SAMPLE: dict[str, Any] = {"cpu_usage": 75.5, "memory_usage_mb": 4096, "gpu_usage": 50.0}


def created(site: Gateway, **fields: Any) -> Answer:
    return site.post("/v1/jobs", {**JOB, **fields}, headers=HEADERS)


@pytest.mark.parametrize("scheduler", [None, SCHEDULER, {"type": "mock"}, {}])
def test_created_job_is_returned(site: Gateway, scheduler: dict[str, Any] | None) -> None:
    answer = created(site) if scheduler is None else created(site, scheduler=scheduler)
    assert answer.status == 201
    job = answer.json
    assert {name: job[name] for name in (*JOB, "state")} == {**JOB, "state": "running"}
    assert (job["node_count"], "cpu_usage" in job) == (2, False)
    given = scheduler or {}
    kept = {name: value for name, value in given.items() if name not in ("extra", "state_reason")}
    assert {name: job["scheduler"][name] for name in kept} == kept
    assert site.get("/v1/jobs/job-17").json["start_time"] == job["start_time"]
    assert created(site).status == 409


def test_other_values_of_extra_become_json(site: Gateway) -> None:
    scheduler = created(site, scheduler=SCHEDULER).json["scheduler"]
    assert scheduler["extra"] == {
        "comment": "hi", "retries": "3", "flags": '["a"]', "wide": '{"x":true}', "none": "null"
    }  # fmt: skip
    assert "state_reason" not in scheduler


def test_sample_without_time_counts_now(site: Gateway) -> None:
    created(site)
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    for _ in range(3):
        answer = site.post("/v1/jobs/job-17/metrics", SAMPLE, headers=HEADERS)
        assert answer.status == 201
        assert before < datetime.fromisoformat(answer.json["timestamp"]) <= datetime.now(UTC)
        assert {name: answer.json[name] for name in SAMPLE} == SAMPLE
    bare = {"cpu_usage": 10, "memory_usage_mb": 1}
    assert site.post("/v1/jobs/job-17/metrics", bare).status == 201
    series = site.get("/v1/jobs/job-17/metrics", query="limit=1000").json
    assert (series["job_id"], series["total"], len(series["samples"])) == ("job-17", 4, 4)
    assert site.get("/v1/jobs/job-17").json["sample_count"] == 4


def test_series_is_limited_by_time(site: Gateway) -> None:
    created(site)
    site.post("/v1/jobs/job-17/metrics", SAMPLE)
    for query, total in (
        ("", 1),
        ("start_time=2026-01-20T10:00:00Z", 1),
        ("end_time=2026-01-20T10:00:00Z", 0),
        ("start_time=2026-01-20T10:00:00Z&end_time=2099-01-20T10:00:00%2B01:00&limit=10000", 1),
    ):
        answer = site.get("/v1/jobs/job-17/metrics", query=query)
        assert (answer.status, answer.json["total"]) == (200, total)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"state": "completed"},
        {"state": "failed", "cpu_usage": 80.0, "memory_usage_mb": 8192, "gpu_usage": 60.0},
        {"state": "cancelled"},
        {"state": "running"},
        {"state": "pending"},
        {"cpu_usage": 12.5},
        {"memory_usage_mb": 0},
        {"gpu_usage": 100},
    ],
)
def test_job_is_changed(site: Gateway, change: dict[str, Any]) -> None:
    created(site)
    answer = site.send("PATCH", "/v1/jobs/job-17", json=change, headers=HEADERS)
    assert answer.status == 200
    assert {name: answer.json[name] for name in change} == change


def test_jobs_are_listed_and_deleted(site: Gateway) -> None:
    created(site)
    for query, total in (
        ("", 1),
        ("state=running&limit=10", 1),
        ("state=cancelled", 0),
        ("user=mira", 1),
        ("node=cn-08&limit=1000&offset=0", 1),
        ("state=running&user=mira&node=cn-07&limit=1&offset=1", 1),
    ):
        page = site.get("/v1/jobs", query=query)
        assert (page.status, page.json["total"]) == (200, total)
        assert set(page.json) >= {"jobs", "total", "limit", "offset"}
    assert site.send("DELETE", "/v1/jobs/job-17", headers=HEADERS).status == 204
    assert site.get("/v1/jobs/job-17").status == 404
    assert site.send("DELETE", "/v1/jobs/job-17").status == 404
    assert site.get("/v1/jobs/job-17/metrics").status == 404


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"gpu_vendor": "none", "gpu_devices": [], "gpu_allocation": 0, "cgroup_path": ""},
        {"gpu_vendor": "amd", "gpu_devices": ["card0"], "partition": "", "account": ""},
        {"gpu_vendor": "mixed", "cpu_allocation": 0},
        {"node_list": ["cn-[07-08]"]},
    ],
)
@pytest.mark.parametrize(
    "end",
    [
        {},
        {"exit_code": 0},
        {"exit_code": 0, "signal": 0},
        {"exit_code": 3, "final_state": "failed"},
        {"exit_code": 0, "signal": 9, "final_state": "cancelled"},
    ],
)
def test_hooks_events_are_accepted(
    site: Gateway, change: dict[str, Any], end: dict[str, Any]
) -> None:
    began = site.post("/v1/events/job-started", {**START, **change})
    assert (began.status, began.json["status"], began.json["job_id"]) == (200, "created", "5502")
    again = site.post("/v1/events/job-started", {**START, **change})
    assert (again.status, again.json["status"]) == (200, "skipped")
    ended = site.post("/v1/events/job-finished", {**END, **end})
    assert (ended.status, ended.json["status"]) == (200, "updated")
    assert site.post("/v1/events/job-finished", {**END, **end}).json["status"] == "skipped"
    job = site.get("/v1/jobs/5502").json
    assert (job["nodes"], job["user"]) == (["cn-07", "cn-08"], "mira")
    assert (job["state"], job["runtime_seconds"]) == (end.get("final_state", "completed"), 9000)


def test_minimal_events_are_accepted(site: Gateway) -> None:
    needed = ("job_id", "user", "node_list", "timestamp")
    start = {name: START[name] for name in needed}
    assert site.post("/v1/events/job-started", start).status == 200
    assert site.post("/v1/events/job-finished", END).status == 200
    unknown = site.post("/v1/events/job-finished", {**END, "job_id": "9"})
    assert (unknown.status, unknown.error) == (404, "not_found")


def test_health_and_metrics_respond(site: Gateway) -> None:
    health = site.get("/v1/health", authorization=None)
    assert health.status == 200
    assert set(health.json) >= {"status", "timestamp", "version"}
    created(site)
    text = site.get("/metrics").body.decode()
    assert 'hpc_job_state_total{state="running"} 1' in text
    assert "hpc_job_total 1" in text


DIFFERENT: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/jobs/job-17/metrics", {"cpuUsage": 75.5, "memoryUsageMb": 4096}, "unknown names"),
    ("/v1/events/job-finished", {**END, "final_state": "running"}, "no end"),
    ("/v1/events/job-finished", {"job_id": "5502", "exit_code": 0}, "no time and no state"),
    ("/v1/events/job-started", {**START, "timestamp": None}, "no time"),
]


@pytest.mark.parametrize(("path", "body", "why"), DIFFERENT, ids=lambda value: str(value)[:20])
def test_listed_differences_are_rejected(
    site: Gateway, path: str, body: dict[str, Any], why: str
) -> None:
    created(site)
    site.post("/v1/events/job-started", START)
    assert site.post(path, body).status == 400, why
