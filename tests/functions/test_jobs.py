"""The jobs routes, from the gateway's event to the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.gateway import Answer, Gateway, token

if TYPE_CHECKING:
    from tests.stores import Query


USER = f"Bearer {token('jobs:read jobs:write', user='ada')}"


def job(job_id: str = "1", **fields: Any) -> dict[str, Any]:
    return {
        "id": job_id,
        "user": "ada",
        "nodes": ["n1", "n2"],
        "start_time": "2026-11-02T08:00:00Z",
        **fields,
    }


def ids(answer: Answer) -> list[str]:
    return [item["id"] for item in answer.json["jobs"]]


def test_created_job_runs_and_is_listed(site: Gateway) -> None:
    created = site.post("/v1/jobs", job(name="heat", scheduler={"partition": "main"}))
    assert created.status == 201
    assert created.json["state"] == "running"
    assert created.json["node_count"] == 2
    assert created.json["cluster_name"] == "lab"
    assert created.json["scheduler"] == {
        "type": "slurm",
        "external_job_id": "1",
        "partition": "main",
    }
    found = site.get("/v1/jobs/1").json
    assert found.pop("runtime_seconds") >= created.json["runtime_seconds"] > 0
    assert found.items() <= created.json.items()


def test_unreported_job_is_stale_until_next_report(site: Gateway) -> None:
    now = datetime.now(UTC)
    site.post("/v1/jobs", job(start_time=(now - timedelta(minutes=29)).isoformat()))
    site.post("/v1/jobs", job("2", start_time=(now - timedelta(minutes=31)).isoformat()))
    assert "stale" not in site.get("/v1/jobs/1").json
    assert site.get("/v1/jobs/2").json["stale"] is True
    assert [one.get("stale") for one in site.get("/v1/jobs").json["jobs"]] == [None, True]
    sample = {"timestamp": now.isoformat(), "cpu_usage": 1, "memory_usage_mb": 1}
    assert site.post("/v1/jobs/2/metrics", sample).status == 201
    assert "stale" not in site.get("/v1/jobs/2").json


def test_existing_id_is_a_conflict(site: Gateway) -> None:
    site.post("/v1/jobs", job())
    again = site.post("/v1/jobs", job(user="bob"))
    assert (again.status, again.error) == (409, "conflict")
    assert site.get("/v1/jobs/1").json["user"] == "ada"


def test_unknown_job_is_not_found(site: Gateway) -> None:
    for method, path in [
        ("GET", "/v1/jobs/9"),
        ("DELETE", "/v1/jobs/9"),
        ("GET", "/v1/jobs/9/metrics"),
        ("GET", "/v1/jobs/9/gpus"),
        ("GET", "/v1/jobs/9/audit"),
    ]:
        answer = site.send(method, path)
        assert (answer.status, answer.error) == (404, "not_found"), path
    assert site.send("PATCH", "/v1/jobs/9", json={"state": "failed"}).status == 404


def test_ended_job_cannot_be_changed(site: Gateway) -> None:
    site.post("/v1/jobs", job())
    changed = site.send("PATCH", "/v1/jobs/1", json={"cpu_usage": 12.5, "memory_usage_mb": 7})
    assert (changed.json["cpu_usage"], changed.json["memory_usage_mb"]) == (12.5, 7)
    ended = site.send("PATCH", "/v1/jobs/1", json={"state": "cancelled"})
    assert ended.json["state"] == "cancelled"
    assert ended.json["end_time"] > ended.json["start_time"]
    late = site.send("PATCH", "/v1/jobs/1", json={"state": "running"})
    assert (late.status, late.error) == (409, "job_terminal")


def test_deleted_job_leaves_its_trail(site: Gateway) -> None:
    site.post("/v1/jobs", job())
    gone = site.send("DELETE", "/v1/jobs/1")
    assert (gone.status, gone.body) == (204, b"")
    assert site.get("/v1/jobs/1").status == 404
    trail = site.get("/v1/jobs/1/audit").json["events"]
    assert [event["change_type"] for event in trail] == ["upsert", "delete"]


def test_trail_names_subject_and_source(site: Gateway) -> None:
    headers = {"x-changed-by": "bob", "x-source": "portal", "x-correlation-id": "ticket-7"}
    answer = site.post("/v1/jobs", job(), headers=headers)
    assert answer.headers["x-correlation-id"] == "ticket-7"
    (event,) = site.get("/v1/jobs/1/audit").json["events"]
    assert event["changed_by"] == "tester (bob)"
    assert event["source"] == "api (portal)"
    assert event["correlation_id"] == "ticket-7"
    assert event["snapshot"]["id"] == "1"


def test_special_characters_survive_in_names(site: Gateway) -> None:
    odd = "it's \"odd\" \\ \n\t 💥 '; DROP TABLE jobs; --"
    site.post("/v1/jobs", job(user=odd, name=odd, scheduler={"account": odd, "extra": {odd: odd}}))
    found = site.get("/v1/jobs/1").json
    assert found["user"] == found["name"] == found["scheduler"]["account"] == odd
    assert found["scheduler"]["extra"] == {odd: odd}


def test_foreign_cluster_prefixes_job_id(site: Gateway) -> None:
    assert site.post("/v1/jobs", job(cluster_name="other")).json["id"] == "other.1"
    assert site.get("/v1/jobs/other.1").status == 200
    assert site.get("/v1/jobs/1").status == 404


@pytest.fixture
def ten_jobs(site: Gateway) -> Gateway:
    for number in range(10):
        answer = site.post(
            "/v1/jobs",
            job(
                f"{number}",
                user="ada" if number % 2 else "bob",
                nodes=[f"n{number}"],
                start_time=f"2026-11-02T08:0{number}:00Z",
                name=f"heat-{number}",
                scheduler={"partition": f"p{number % 3}", "account": "physics"},
            ),
        )
        assert answer.status == 201
    return site


def test_jobs_are_listed_newest_first(ten_jobs: Gateway) -> None:
    answer = ten_jobs.get("/v1/jobs")
    assert ids(answer) == list("9876543210")
    assert (answer.json["total"], answer.json["limit"], answer.json["offset"]) == (10, 100, 0)
    assert "next_cursor" not in answer.json


def test_cursor_pages_are_complete(ten_jobs: Gateway) -> None:
    seen: list[str] = []
    query = "limit=4"
    while True:
        answer = ten_jobs.get("/v1/jobs", query=query)
        seen += ids(answer)
        if "next_cursor" not in answer.json:
            break
        query = f"limit=4&cursor={answer.json['next_cursor']}"
    assert seen == list("9876543210")


def test_offset_skips_jobs(ten_jobs: Gateway) -> None:
    assert ids(ten_jobs.get("/v1/jobs", query="limit=3&offset=8")) == ["1", "0"]


def test_cursor_with_offset_is_rejected(ten_jobs: Gateway) -> None:
    cursor = ten_jobs.get("/v1/jobs", query="limit=1").json["next_cursor"]
    answer = ten_jobs.get("/v1/jobs", query=f"cursor={cursor}&offset=1")
    assert (answer.status, answer.error) == (400, "validation_error")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=running", "9876543210"),
        ("state=failed", ""),
        ("user=ada", "97531"),
        ("node=n4", "4"),
        ("partition=p0", "9630"),
        ("account=physics&user=bob", "86420"),
        ("cluster=lab&limit=2", "98"),
        ("cluster=other", ""),
        ("started_after=2026-11-02T08:07:00Z", "98"),
        ("started_before=2026-11-02T10:02:00%2B02:00", "10"),
        ("q=heat-3", "3"),
        ("q=%25", ""),
        ("q=_", ""),
    ],
)
def test_filters_select_jobs(ten_jobs: Gateway, query: str, found: str) -> None:
    assert ids(ten_jobs.get("/v1/jobs", query=query)) == list(found)


def test_user_token_reads_own_jobs_only(ten_jobs: Gateway) -> None:
    assert ids(ten_jobs.get("/v1/jobs", authorization=USER)) == list("97531")
    assert ids(ten_jobs.get("/v1/jobs", query="user=bob", authorization=USER)) == []
    assert ten_jobs.get("/v1/jobs/1", authorization=USER).status == 200
    for method, path in [
        ("GET", "/v1/jobs/2"),
        ("DELETE", "/v1/jobs/2"),
        ("GET", "/v1/jobs/2/metrics"),
        ("GET", "/v1/jobs/2/gpus"),
        ("GET", "/v1/jobs/2/audit"),
    ]:
        assert ten_jobs.send(method, path, authorization=USER).status == 404, path
    patch = ten_jobs.send("PATCH", "/v1/jobs/2", json={"state": "failed"}, authorization=USER)
    assert patch.status == 404


def test_user_token_adds_own_jobs_only(site: Gateway) -> None:
    assert site.post("/v1/jobs", job("1"), authorization=USER).status == 201
    answer = site.post("/v1/jobs", job("2", user="bob"), authorization=USER)
    assert (answer.status, answer.error) == (403, "forbidden")


def sample(second: int, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": f"2026-11-02T08:00:{second:02}Z",
        "cpu_usage": float(second),
        "memory_usage_mb": 100 * second,
        "node": "n1",
        **fields,
    }


def test_posted_samples_are_read_back(site: Gateway) -> None:
    site.post("/v1/jobs", job())
    for second in (30, 10, 20):
        answer = site.post("/v1/jobs/1/metrics", sample(second, gpu_usage=50))
        assert (answer.status, answer.json["cpu_usage"]) == (201, second)
    series = site.get("/v1/jobs/1/metrics").json
    assert [point["cpu_usage"] for point in series["samples"]] == [10, 20, 30]
    assert series["total"] == 3
    found = site.get("/v1/jobs/1").json
    assert (found["sample_count"], found["avg_cpu_usage"], found["max_cpu_usage"]) == (3, 20, 30)


def test_tiny_usage_counts_as_usage(site: Gateway) -> None:
    site.post("/v1/jobs", job())
    for second in range(3):
        answer = site.post("/v1/jobs/1/metrics", sample(second, cpu_usage=5e-324, gpu_usage=5e-324))
        assert answer.status == 201
    found = site.get("/v1/jobs/1").json
    assert (found["avg_cpu_usage"], found["sample_count"]) == (0, 3)
    (bucket,) = site.get("/v1/jobs/1/metrics", query="resolution=60").json["samples"]
    assert (bucket["cpu_usage"], bucket["gpu_usage"]) == (0, 0)


def test_duplicate_sample_counts_once(site: Gateway) -> None:
    site.post("/v1/jobs", job())
    assert site.post("/v1/jobs/1/metrics", sample(10)).status == 201
    assert site.post("/v1/jobs/1/metrics", sample(10, cpu_usage=99)).status == 200
    assert site.get("/v1/jobs/1").json["sample_count"] == 1


def test_series_has_range_limit_and_buckets(site: Gateway) -> None:
    site.post("/v1/jobs", job())
    for second in (0, 10, 20, 30, 40, 50):
        site.post("/v1/jobs/1/metrics", sample(second))
    part = "start_time=2026-11-02T08:00:10Z&end_time=2026-11-02T08:00:40Z&limit=2"
    cut = site.get("/v1/jobs/1/metrics", query=part).json
    assert [point["cpu_usage"] for point in cut["samples"]] == [10, 20]
    assert cut["total"] == 3
    buckets = site.get("/v1/jobs/1/metrics", query="resolution=30&node=n1").json["samples"]
    assert [(point["cpu_usage"], point["cpu_usage_max"]) for point in buckets] == [
        (10, 20),
        (40, 50),
    ]
    assert site.get("/v1/jobs/1/metrics", query="node=n2").json["samples"] == []


def test_sample_after_end_is_rejected(site: Gateway) -> None:
    site.post("/v1/jobs", job(start_time="2020-01-01T00:00:00Z"))
    site.send("PATCH", "/v1/jobs/1", json={"state": "completed"})
    soon = datetime.now(UTC) + timedelta(minutes=5)
    late = site.post("/v1/jobs/1/metrics", sample(1, timestamp=soon.isoformat()))
    assert (late.status, late.error) == (409, "job_terminal")


@pytest.mark.parametrize(
    ("timestamp", "reason"),
    [
        ("2199-01-01T00:00:00Z", "is from the future"),
        ("1999-01-01T00:00:00Z", "is older than samples are kept"),
    ],
)
def test_sample_out_of_window_is_rejected(site: Gateway, timestamp: str, reason: str) -> None:
    site.post("/v1/jobs", job())
    refused = site.post("/v1/jobs/1/metrics", sample(1, timestamp=timestamp))
    assert (refused.status, refused.error) == (400, "validation_error")
    assert refused.json["message"] == f"timestamp: {reason}"


def test_conflict_writes_nothing(site: Gateway, query: Query) -> None:
    site.post("/v1/jobs", job())
    assert query("SELECT count(*) FROM jobs") == [(1,)]
    assert query("SELECT count(*) FROM job_audit_events") == [(1,)]
    site.post("/v1/jobs", job())
    assert query("SELECT count(*) FROM job_audit_events") == [(1,)]
