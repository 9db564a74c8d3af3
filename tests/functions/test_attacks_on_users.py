"""Another user's job: no route lets a user's token read it, change it or detect it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.auth.scopes import USER_SCOPES
from hpcobs.http.routes import ROUTES, Route
from tests.functions.attacks import JOB, MARK, N1, SAMPLE, START, bearer, path_of

if TYPE_CHECKING:
    from tests.functions.gateway import Gateway
    from tests.stores import Query

SCOPED = [route for route in ROUTES if route.scope is not None]
BODIES: dict[str, dict[str, Any]] = {
    "PATCH /v1/jobs/{jobId}": {"cpu_usage": 99},
    "POST /v1/jobs/{jobId}/metrics": SAMPLE,
}
BOB = bearer("jobs:read jobs:write", user="bob")
OF_A_JOB = [route for route in SCOPED if "{jobId}" in route.path]
OF_ALL = [route for route in SCOPED if route.method == "GET" and route.scope in USER_SCOPES]


@pytest.fixture
def two_users(site: Gateway) -> Gateway:
    """Add ada's job 77001 with a sample and a name to look for, and bob's 1."""
    site.post("/v1/jobs", {**JOB, "id": "77001", "name": MARK, "scheduler": {"account": MARK}})
    site.post("/v1/jobs/77001/metrics", SAMPLE)
    site.post("/v1/jobs", {**JOB, "id": "1", "user": "bob"})
    return site


@pytest.mark.parametrize("route", OF_A_JOB, ids=lambda route: str(route.key))
def test_foreign_job_looks_like_a_missing_one(two_users: Gateway, route: Route) -> None:
    def answer(job_id: str) -> tuple[int, str]:
        path = path_of(route, jobId=job_id)
        body = BODIES.get(route.key)
        found = two_users.send(route.method, path, json=body, authorization=BOB)
        return found.status, found.body.decode().replace(job_id, "ID")

    assert answer("77001") == answer("77002")
    assert answer("77001")[0] == 404


def test_foreign_job_stays_unchanged(two_users: Gateway, query: Query) -> None:
    before = two_users.get("/v1/jobs/77001").json
    for route in OF_A_JOB:
        path = path_of(route, jobId="77001")
        two_users.send(route.method, path, json=BODIES.get(route.key), authorization=BOB)
    after = two_users.get("/v1/jobs/77001").json
    for job in (before, after):
        del job["runtime_seconds"]
    assert after == before
    assert query("SELECT count(*) FROM job_audit_events WHERE job_id = '77001'") == [(1,)]


QUERIES = (
    "", "user=ada", "q=77", "q=ada", f"account={MARK}", "node=n1", "offset=1", "limit=1000",
    "state=running", "cluster=lab", "node=n1&user=ada", "started_after=2026-01-01T00:00:00Z",
)  # fmt: skip


@pytest.mark.parametrize("route", OF_ALL, ids=lambda route: str(route.key))
def test_no_response_mentions_a_foreign_job(two_users: Gateway, route: Route) -> None:
    for query in QUERIES:
        for job_id in ("1", "77001"):
            answer = two_users.send(
                "GET", path_of(route, jobId=job_id), query=query, authorization=BOB
            )
            text = answer.body.decode()
            assert MARK not in text, (route.key, query)
            assert '"ada"' not in text, (route.key, query)
            if job_id == "1":
                assert "77001" not in text, (route.key, query)


def test_totals_and_cursors_count_own_jobs_only(two_users: Gateway) -> None:
    for number in range(2, 5):
        two_users.post("/v1/jobs", {**JOB, "id": str(number), "user": "bob"})
    own = two_users.get("/v1/jobs", query="limit=1", authorization=BOB).json
    assert own["total"] == 4
    everybodys = two_users.get("/v1/jobs", query="limit=1").json["next_cursor"]
    seen, cursor = list(own["jobs"]), own["next_cursor"]
    for start in (cursor, everybodys):
        cursor = start
        while cursor:
            query = f"limit=1&cursor={cursor}"
            page = two_users.get("/v1/jobs", query=query, authorization=BOB).json
            seen += page["jobs"]
            cursor = page.get("next_cursor")
    assert {job["user"] for job in seen} == {"bob"}
    assert {job["id"] for job in seen} == {"1", "2", "3", "4"}


def test_user_cannot_add_foreign_job(two_users: Gateway) -> None:
    for user in ("ada", "Bob", "bob ", "bob\u200b"):
        answer = two_users.post("/v1/jobs", {**JOB, "id": "9", "user": user}, authorization=BOB)
        assert (answer.status, answer.error) == (403, "forbidden"), user


def test_reused_id_hides_previous_owners_trail(site: Gateway) -> None:
    site.post("/v1/jobs", {**JOB, "id": "5", "name": MARK})
    site.send("DELETE", "/v1/jobs/5")
    site.post("/v1/jobs", {**JOB, "id": "5", "user": "bob"}, authorization=BOB)
    bobs = site.get("/v1/jobs/5/audit", authorization=BOB)
    assert MARK not in bobs.body.decode()
    assert [event["snapshot"]["user"] for event in bobs.json["events"]] == ["bob"]
    adas = site.get("/v1/jobs/5/audit", authorization=bearer("jobs:read", user="ada"))
    assert {event["snapshot"]["user"] for event in adas.json["events"]} == {"ada"}


@pytest.mark.parametrize("ended", [False, True])
def test_preempted_job_id_gives_no_access(site: Gateway, ended: bool) -> None:
    site.post("/v1/jobs", {**JOB, "id": "500", "user": "bob", "nodes": ["n9"]}, authorization=BOB)
    if ended:
        site.send("PATCH", "/v1/jobs/500", json={"state": "failed"}, authorization=BOB)
    assert site.post("/v1/events/job-started", START, authorization=N1).status == 200
    job = site.get("/v1/jobs/500").json
    assert (job["user"], job["nodes"], job["state"]) == ("ada", ["n1"], "running")
    for path in ("", "/metrics", "/gpus"):
        assert site.get(f"/v1/jobs/500{path}", authorization=BOB).status == 404
    assert MARK not in site.get("/v1/jobs/500/audit", authorization=BOB).body.decode()
    ended_now = {"job_id": "500", "node": "n1", "final_state": "completed"}
    body = {**ended_now, "timestamp": "2026-11-02T09:00:00Z"}
    assert site.post("/v1/events/job-finished", body, authorization=N1).status == 200
    assert site.get("/v1/jobs/500").json["state"] == "completed"


def test_reported_job_keeps_its_owner(site: Gateway) -> None:
    site.post("/v1/events/job-started", START, authorization=N1)
    theirs = {**START, "user": "bob", "node": "n2", "node_list": ["n2"]}
    site.post("/v1/events/job-started", theirs, authorization=bearer("events:write", node="n2"))
    job = site.get("/v1/jobs/500").json
    assert (job["user"], job["nodes"]) == ("ada", ["n1"])
