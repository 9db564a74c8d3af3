"""Every documented property is returned at least once, and no other is.

Gateway.send proves "no other" for every response of every test. Here a site is filled with every
kind of data, and the returned properties are compared with the contract's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.http.routes import ROUTES
from tests.functions.gateway import CONTRACT, Gateway

if TYPE_CHECKING:
    from tests.stores import Query

SCHEMAS = CONTRACT["components"]["schemas"]
ANSWERED = {"200", "201", "202", "503"}

JOB: dict[str, Any] = {
    "id": "1",
    "user": "ada",
    "nodes": ["n1"],
    "start_time": "2026-11-02T08:00:00Z",
    "name": "heat",
    "scheduler_instance": "ctl",
    "array_job_id": "1",
    "array_task_id": "2",
    "restart_count": 1,
    "requested_cpus": 1,
    "allocated_cpus": 2,
    "requested_memory_mb": 3,
    "allocated_memory_mb": 4,
    "requested_gpus": 1,
    "allocated_gpus": 1,
    "gpu_vendor": "nvidia",
    "gpu_devices": ["0"],
    "cgroup_path": "/slurm/job_1",
    "scheduler": {
        "external_job_id": "1",
        "raw_state": "RUNNING",
        "submit_time": "2026-11-02T07:00:00Z",
        "partition": "main",
        "account": "physics",
        "qos": "normal",
        "priority": 1,
        "exit_code": 1,
        "signal": 1,
        "state_reason": "Priority",
        "time_limit_minutes": 60,
        "extra": {"comment": "hi"},
    },
}
SAMPLE: dict[str, Any] = {
    "timestamp": "2026-11-02T08:00:00Z",
    "cpu_usage": 50,
    "memory_usage_mb": 7,
    "gpu_usage": 5,
    "node": "n1",
}
GPU = (
    "INSERT INTO gpu_samples VALUES"
    " ('1', '2026-11-02T08:00:00Z', 'n1', '0', 'nvidia', 10, 20, 40, 250, 60, true)"
)
BATCH_ID = "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c"


@pytest.fixture
def produced(site: Gateway, query: Query) -> set[str]:
    """Fill a site with every kind of data, and return its answers' ``Schema.property`` names."""
    query("SELECT ensure_day_partition('gpu_samples', '2026-11-02')")
    query(GPU)
    found: set[str] = set()

    def ask(method: str, path: str, **options: Any) -> Any:
        answer = site.send(method, path, **options)
        template = path.replace("/v1/jobs/1", "/v1/jobs/{jobId}")
        operation = CONTRACT["paths"][template][method.lower()]
        documented = operation["responses"][str(answer.status)]
        if "content" in documented and answer.body:
            schema = documented["content"]["application/json"]["schema"]
            _collect(schema, answer.json, found)
        return answer

    ask("POST", "/v1/jobs", json=JOB)
    ask("POST", "/v1/jobs", json={**JOB, "id": "2"})
    ask("POST", "/v1/jobs/1/metrics", json=SAMPLE)
    ask("POST", "/v1/jobs/1/metrics", json=SAMPLE)
    for path in ("/v1/jobs/1/metrics", "/v1/jobs/1/gpus"):
        ask("GET", path)
        ask("GET", path, query="resolution=60")
    suspended = {
        "job_id": "4",
        "user": "ada",
        "state": "SUSPENDED",
        "start_time": JOB["start_time"],
    }
    sync = {"observed_at": "2026-11-02T08:00:00Z", "jobs": [{}, suspended], "nodes": [{}]}
    ask("POST", "/v1/events/jobs", json=sync)
    ask("GET", "/v1/jobs")
    ask("GET", "/v1/jobs", query="limit=1")
    ask("PATCH", "/v1/jobs/1", json={"state": "cancelled"})
    ask("GET", "/v1/jobs/1")
    ask("GET", "/v1/jobs/1/audit")
    ask("DELETE", "/v1/jobs/1")
    event = {"job_id": "3", "user": "ada", "timestamp": "2026-11-02T08:00:00Z"}
    ask("POST", "/v1/events/job-started", json={**event, "node_list": ["n1"]})
    ask("POST", "/v1/events/job-finished", json={**event, "final_state": "failed"})
    entry = {name: value for name, value in SAMPLE.items() if name != "node"}
    batch = {"node": "n1", "batch_id": BATCH_ID, "samples": [{"job_id": "1", **entry}, {}]}
    ask("POST", "/v1/samples", json={**batch, "host": {"cpus": -1}})
    query("DROP TABLE sample_queue")
    ask("GET", "/v1/health")
    return found


def _collect(schema: dict[str, Any], value: Any, found: set[str], name: str = "") -> None:
    while "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        schema = SCHEMAS[name]
    if isinstance(value, list):
        for item in value:
            _collect(schema.get("items", {}), item, found, name)
    elif isinstance(value, dict):
        for key, part in value.items():
            if key in schema.get("properties", {}):
                found.add(f"{name}.{key}")
                _collect(schema["properties"][key], part, found, f"{name}.{key}")


def _promised() -> set[str]:
    """Return the properties of all schemas of successful responses."""
    found: set[str] = set()
    for route in ROUTES:
        operation = CONTRACT["paths"][route.path][route.method.lower()]
        for status, answer in operation["responses"].items():
            if status in ANSWERED:
                for media in answer.get("content", {}).values():
                    _properties(media["schema"], found)
    return found


def _properties(schema: dict[str, Any], found: set[str], name: str = "") -> None:
    while "$ref" in schema:
        name = schema["$ref"].split("/")[-1]
        schema = SCHEMAS[name]
    for key, part in schema.get("properties", {}).items():
        if f"{name}.{key}" not in found:
            found.add(f"{name}.{key}")
            _properties(part, found, f"{name}.{key}")
    if "items" in schema:
        _properties(schema["items"], found, name)


def test_every_documented_property_is_returned(produced: set[str]) -> None:
    assert produced == _promised()
