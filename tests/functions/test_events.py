"""The events routes: a job's life as its hooks and its controller tell it."""

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


def test_a_jobs_life(site: Gateway) -> None:
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


def test_an_end_of_an_unknown_job_needs_to_say_whose_it_is(site: Gateway) -> None:
    unknown = site.post("/v1/events/job-finished", finished())
    assert (unknown.status, unknown.error) == (404, "not_found")
    kept = site.post("/v1/events/job-finished", finished(user="ada", node_list=["n1"]))
    assert kept.status == 200
    assert site.get("/v1/jobs/1").json["state"] == "completed"


@pytest.mark.parametrize("state", ["pending", "running"])
def test_an_end_must_be_one(site: Gateway, state: str) -> None:
    site.post("/v1/events/job-started", started())
    answer = site.post("/v1/events/job-finished", finished(final_state=state))
    assert (answer.status, answer.error) == (400, "validation_error")
    assert answer.json["details"]["errors"][0]["field"] == "final_state"


def test_events_are_marked_with_their_scheduler(site: Gateway) -> None:
    site.post("/v1/events/job-started", started())
    assert site.get("/v1/jobs/1").json["scheduler"]["type"] == "slurm"
    assert site.get("/v1/jobs/1/audit").json["events"][0]["source"] == "slurm"


def test_the_controllers_view_creates_and_corrects(site: Gateway) -> None:
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


def test_one_bad_job_of_a_sync_costs_no_other(site: Gateway) -> None:
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


def test_a_bad_envelope_is_refused(site: Gateway) -> None:
    bad: list[dict[str, Any]] = [
        {"jobs": []},
        sync(cluster_name="a.b"),
        sync(*[{}] * 1001),
        {**sync(), "jobs": {}},
    ]
    for body in bad:
        assert site.post("/v1/events/jobs", body).status == 400


def test_an_empty_sync_is_answered(site: Gateway) -> None:
    assert site.post("/v1/events/jobs", sync()).json == {"results": []}


def test_a_node_speaks_for_itself_only(site: Gateway) -> None:
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
