"""A site deployed to an emulator: a job's life through the URL of the stack's outputs.

The stack, the layer, the functions' code and the CDK's command line are the real ones.
``tests/README.md`` lists what the emulator does not support, and the template's tests for it.

Like API Gateway, the emulator passes application/json as text, so compressed bodies need another
type.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hpcobs.storage.migrations import available
from hpcobs_forwarder.sending.requests import PACKED
from infra.constructs.functions import SIZES
from tests.aws.deployed import eventually

if TYPE_CHECKING:
    import httpx

    from tests.aws.deployed import Deployed


NOW = datetime.now(UTC).replace(microsecond=0)
STARTED, ENDED = NOW - timedelta(minutes=5), NOW + timedelta(seconds=1)


@pytest.fixture(scope="module")
def node(deployed: Deployed) -> httpx.Client:
    scopes = ("--scope", "events:write,samples:write")
    return deployed.client(deployed.token(*scopes, "--node", "n1"))


@pytest.fixture(scope="module")
def reader(deployed: Deployed) -> httpx.Client:
    return deployed.client(deployed.token("--scope", "jobs:read metrics:read"))


def _start(job_id: str) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "user": "ada",
        "node_list": "n1",
        "node": "n1",
        "timestamp": STARTED.isoformat(),
    }


def test_migrations_run_first(deployed: Deployed) -> None:
    with psycopg.connect(deployed.database_url) as connection:
        rows = connection.execute("SELECT name FROM schema_migrations ORDER BY name").fetchall()
    assert [name for (name,) in rows] == sorted(available())


def test_open_routes_need_no_token(deployed: Deployed) -> None:
    health = deployed.client().get("/v1/health")
    assert (health.status_code, health.json()["status"]) == (200, "healthy")
    assert deployed.client().get("/v1/openapi.json").json()["openapi"].startswith("3.")


def test_other_routes_require_valid_token(deployed: Deployed, node: httpx.Client) -> None:
    assert deployed.client().get("/v1/jobs").status_code == 401
    assert deployed.client("a.b.c").get("/v1/jobs").status_code == 401
    assert node.get("/v1/jobs").status_code == 403
    assert (
        node.post(
            "/v1/events/job-started", json=_start("9") | {"node": "n2", "node_list": "n2"}
        ).status_code
        == 403
    )


def test_job_from_start_to_end(
    deployed: Deployed, node: httpx.Client, reader: httpx.Client
) -> None:
    response = node.post("/v1/events/job-started", json=_start("1"))
    assert response.json().get("status") == "created", response.text
    _send_samples(node, job_id="1")
    deployed.call_now("Collector")
    job = eventually(
        lambda: reader.get("/v1/jobs/1").json(), lambda response: response["sample_count"] == 3
    )
    assert (job["state"], job["avg_cpu_usage"], job["max_memory_usage_mb"]) == ("running", 20, 300)
    series = reader.get("/v1/jobs/1/metrics").json()["samples"]
    assert [point["cpu_usage"] for point in series] == [10, 20, 30]
    assert "hpc_job_cpu_usage_percent{" in reader.get("/metrics").text
    _finish(node, job_id="1")
    (listed,) = reader.get("/v1/jobs", params={"state": "completed"}).json()["jobs"]
    assert (listed["id"], listed["sample_count"]) == ("1", 3)


def test_retention_runs_on_schedule(deployed: Deployed) -> None:
    deployed.call_now("Retention")
    spawned = "spawned for hpcobs-emulated-retention "
    eventually(lambda: deployed.emulator.log, lambda log: spawned in log)


def test_each_function_has_own_process(deployed: Deployed) -> None:
    log = deployed.emulator.log
    spawned = {name for name in SIZES if f"spawned for hpcobs-emulated-{name} " in log}
    assert spawned == SIZES.keys() - {"rotate"}


def test_failed_migration_leaves_site_unchanged(deployed: Deployed, reader: httpx.Client) -> None:
    before = deployed.functions()
    with psycopg.connect(deployed.database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE spoiled")
    spoiled = make_conninfo(deployed.database_url, dbname="spoiled")
    with psycopg.connect(spoiled, autocommit=True) as connection:
        connection.execute("CREATE TABLE jobs (taken boolean)")
    done = deployed.deploy_on(spoiled)
    assert done.returncode != 0
    assert 'relation "jobs" already exists' in done.stdout + done.stderr
    updated = deployed.updated()
    assert [name for name in updated if name.startswith("MigrationRun")]
    assert not [name for name in updated if name.startswith("Functions")]
    assert deployed.functions() == before
    assert reader.get("/v1/jobs").status_code == 200


def _send_samples(node: httpx.Client, *, job_id: str) -> None:
    samples = [
        {
            "job_id": job_id,
            "timestamp": (STARTED + timedelta(minutes=number)).isoformat(),
            "cpu_usage": number * 10,
            "memory_usage_mb": number * 100,
        }
        for number in (1, 2, 3)
    ]
    batch = {"node": "n1", "batch_id": str(uuid4()), "samples": samples}
    packed = gzip.compress(json.dumps(batch).encode())
    response = node.post("/v1/samples", content=packed, headers=PACKED)
    assert response.status_code == 202, response.text


def _finish(node: httpx.Client, *, job_id: str) -> None:
    end = {
        "job_id": job_id,
        "node": "n1",
        "timestamp": ENDED.isoformat(),
        "final_state": "completed",
        "exit_code": 0,
        "signal": 0,
    }
    response = node.post("/v1/events/job-finished", json=end)
    assert response.status_code == 200, response.text
