"""The events routes: a job's life as its hooks and its controller report it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.gateway import Gateway, token

NODE = f"Bearer {token('events:write', node='n1')}"


def started(job_id: str = "1", **fields: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "user": "ada",
        "node_list": "n[1-2]",
        "node": "n1",
        "timestamp": "2026-11-02T08:00:00Z",
        **fields,
    }


def finished(job_id: str = "1", **fields: Any) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "final_state": "completed",
        "timestamp": "2026-11-02T09:00:00Z",
        "node": "n1",
        "exit_code": 0,
        "signal": 0,
        **fields,
    }


def sync(*jobs: Any, **fields: Any) -> dict[str, Any]:
    return {"observed_at": "2026-11-02T08:30:00Z", "jobs": list(jobs), **fields}


def test_job_from_start_to_end(site: Gateway) -> None:
    created = site.post("/v1/events/job-started", started())
    assert created.json == {"status": "created", "job_id": "1", "message": "job created"}
    again = site.post("/v1/events/job-started", started())
    assert (again.status, again.json["status"]) == (200, "skipped")
    for node in ("n1", "n2"):
        ended = site.post("/v1/events/job-finished", finished(node=node, exit_code=3))
        assert ended.json["status"] == "updated"
    job = site.get("/v1/jobs/1").json
    assert (job["state"], job["scheduler"]["exit_code"]) == ("failed", 3)
    assert job["runtime_seconds"] == 3600


def test_end_of_unknown_job_needs_its_user(site: Gateway) -> None:
    unknown = site.post("/v1/events/job-finished", finished())
    assert (unknown.status, unknown.error) == (404, "not_found")
    kept = site.post("/v1/events/job-finished", finished(user="ada", node_list=["n1"]))
    assert kept.status == 200
    assert site.get("/v1/jobs/1").json["state"] == "completed"


@pytest.mark.parametrize("state", ["pending", "running"])
def test_end_needs_a_final_state(site: Gateway, state: str) -> None:
    site.post("/v1/events/job-started", started())
    answer = site.post("/v1/events/job-finished", finished(final_state=state))
    assert (answer.status, answer.error) == (400, "validation_error")
    assert answer.json["details"]["errors"][0]["field"] == "final_state"


def test_events_carry_their_scheduler(site: Gateway) -> None:
    site.post("/v1/events/job-started", started())
    assert site.get("/v1/jobs/1").json["scheduler"]["type"] == "slurm"
    assert site.get("/v1/jobs/1/audit").json["events"][0]["source"] == "slurm"


def test_controllers_view_creates_and_corrects_jobs(site: Gateway) -> None:
    site.post("/v1/events/job-started", started("1"))
    answer = site.post(
        "/v1/events/jobs",
        sync(
            {
                "job_id": "1",
                "user": "ada",
                "state": "RUNNING",
                "node_list": "n[1-2]",
                "name": "heat",
            },
            {
                "job_id": "2",
                "user": "bob",
                "state": "PENDING",
                "submit_time": "2026-11-02T08:10:00Z",
            },
            nodes=[{"node": "n1", "state": "ALLOCATED", "cpus": 4}],
        ),
    )
    assert [(item["job_id"], item["status"]) for item in answer.json["results"]] == [
        ("1", "updated"),
        ("2", "created"),
    ]
    assert site.get("/v1/jobs/1").json["name"] == "heat"
    pending = site.get("/v1/jobs/2").json
    assert (pending["state"], pending["nodes"], pending["runtime_seconds"]) == ("pending", [], 0)


def test_bad_sync_entry_does_not_cost_others(site: Gateway) -> None:
    good = {"job_id": "1", "user": "ada", "state": "RUNNING", "node_list": ["n1"]}
    answer = site.post(
        "/v1/events/jobs",
        sync(
            {**good, "state": "DANCING"},
            {**good, "job_id": "2"},
            {**good, "job_id": "3", "cpus": 5},
            {**good, "job_id": "4", "start_time": "yesterday"},
            nodes=[{"node": "n1"}, {"node": "n2", "state": "IDLE"}],
        ),
    )
    assert [item["status"] for item in answer.json["results"]] == [
        "failed", "created", "failed", "failed",
    ]  # fmt: skip
    assert "DANCING" in answer.json["results"][0]["message"]
    assert "cpus" in answer.json["results"][2]["message"]
    assert "start_time" in answer.json["results"][3]["message"]
    assert answer.json["rejected_nodes"] == [{"node": "n1", "message": "state: is required"}]
    assert site.get("/v1/jobs").json["total"] == 1


def test_bad_sync_envelope_is_rejected(site: Gateway) -> None:
    bad: list[dict[str, Any]] = [
        {"jobs": []},
        sync(cluster_name="a.b"),
        sync(*[{}] * 1001),
        {**sync(), "jobs": {}},
    ]
    for body in bad:
        assert site.post("/v1/events/jobs", body).status == 400


def test_empty_sync_has_empty_results(site: Gateway) -> None:
    assert site.post("/v1/events/jobs", sync()).json == {"results": []}


def test_node_sends_its_own_events_only(site: Gateway) -> None:
    assert site.post("/v1/events/job-started", started(), authorization=NODE).status == 200
    refused = [
        ("/v1/events/job-started", started(node="n2")),
        ("/v1/events/job-started", {**started(), "node": None}),
        ("/v1/events/job-started", started(node_list="n2")),
        ("/v1/events/job-started", started(source="prolog_slurmctld")),
        ("/v1/events/job-finished", finished(node="n2")),
        ("/v1/events/job-finished", finished(source="epilog_slurmctld")),
        ("/v1/events/jobs", sync()),
    ]
    for path, body in refused:
        answer = site.post(path, body, authorization=NODE)
        assert (answer.status, answer.error) == (403, "forbidden"), path
    assert site.post("/v1/events/job-finished", finished(), authorization=NODE).status == 200
