"""Every route of a job takes the id of an earlier submission."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.functions.gateway import Gateway

EARLIER = "4711@20261102T075900Z"
"""The first submission of job 4711, by ada. The second one is bob's."""


def view(state: str, day: int, user: str, **fields: Any) -> dict[str, Any]:
    times = {
        "submit_time": f"2026-11-{day:02}T07:59:00Z",
        "start_time": f"2026-11-{day:02}T08:00:00Z",
    }
    return {"job_id": "4711", "user": user, "state": state, "node_list": "n1", **times, **fields}


@pytest.fixture
def reused(site: Gateway) -> Gateway:
    ended = view("COMPLETED", 2, "ada", end_time="2026-11-02T09:00:00Z")
    for job, observed_at in (
        (ended, "2026-11-02T09:00:05Z"),
        (view("RUNNING", 20, "bob"), "2026-11-20T08:00:05Z"),
    ):
        body = {"observed_at": observed_at, "jobs": [job]}
        answer = site.post("/v1/events/jobs", body)
        assert answer.json["results"][0]["status"] == "created"
    return site


@pytest.mark.parametrize("escape", ["@", "%40"])
def test_both_jobs_answer_to_their_ids(reused: Gateway, escape: str) -> None:
    path = f"/v1/jobs/{EARLIER.replace('@', escape)}"
    earlier, latest = reused.get(path).json, reused.get("/v1/jobs/4711").json
    assert (earlier["id"], earlier["user"], earlier["state"]) == (EARLIER, "ada", "completed")
    assert (latest["id"], latest["user"], latest["state"]) == ("4711", "bob", "running")
    assert reused.get("/v1/jobs/4711@20261120T075900Z").json["user"] == "bob"
    assert reused.get("/v1/jobs/4711@20261120T075901Z").status == 404


def test_lists_show_both_jobs(reused: Gateway) -> None:
    for query in ("", "q=4711", "node=n1"):
        jobs = reused.get("/v1/jobs", query=query).json["jobs"]
        assert [job["id"] for job in jobs] == ["4711", EARLIER]


@pytest.mark.parametrize("part", ["metrics", "gpus", "audit"])
def test_parts_are_those_of_submission(reused: Gateway, part: str) -> None:
    answer = reused.get(f"/v1/jobs/{EARLIER}/{part}")
    assert answer.json["job_id"] == EARLIER
    if part == "audit":
        users = {event["snapshot"]["user"] for event in answer.json["events"]}
        assert users == {"ada"}


def test_earlier_job_is_deleted_alone(reused: Gateway) -> None:
    assert reused.send("DELETE", f"/v1/jobs/{EARLIER}").status == 204
    assert reused.get(f"/v1/jobs/{EARLIER}").status == 404
    assert reused.get("/v1/jobs/4711").json["user"] == "bob"


def test_ended_submission_is_not_changed(reused: Gateway) -> None:
    answer = reused.send("PATCH", f"/v1/jobs/{EARLIER}", json={"state": "failed"})
    assert (answer.status, answer.error) == (409, "job_terminal")


def test_series_carry_plain_id(reused: Gateway) -> None:
    text = reused.get("/metrics").body.decode()
    assert 'hpc_job_info{job_id="4711",user="bob"' in text
    assert "@2026" not in text
