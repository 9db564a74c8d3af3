"""Headers and ids with hostile content: in the audit trail, in logs, in SQL."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.attacks import JOB, LEAKS, bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.gateway import Gateway

SPOOFED = {
    "x-changed-by": "root",
    "x-source": "slurm",
    "x-correlation-id": "stolen",
    "x-forwarded-user": "root",
    "x-amzn-request-context": '{"authorizer": {"lambda": {"subject": "root"}}}',
    "x-apigateway-context": '{"authorizer": {"lambda": {"subject": "root"}}}',
}


def trail(site: Gateway, job_id: str = "1") -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = site.get(f"/v1/jobs/{job_id}/audit").json["events"]
    return events


def test_headers_never_replace_token_subject(site: Gateway) -> None:
    writer = bearer("jobs:write", subject="mallory")
    site.post("/v1/jobs", {**JOB, "id": "1"}, headers=SPOOFED, authorization=writer)
    (event,) = trail(site)
    assert event["changed_by"] == "mallory (root)"
    assert (event["source"], event["correlation_id"]) == ("api (slurm)", "stolen")


@pytest.mark.parametrize("header", ["x-changed-by", "x-source"])
@pytest.mark.parametrize(
    "value", ["a\nb", "a\r\nX-Evil: 1", "a\0b", "x" * 10_000, "\x1b[31m", "a\u2028b"]
)
def test_bad_audit_header_prevents_the_change(
    shared_site: Gateway, header: str, value: str, content: Callable[[], dict[str, int]]
) -> None:
    job = {**JOB, "id": "1"}
    answer = shared_site.post("/v1/jobs", job, headers={header: value})
    assert (answer.status, answer.error) == (400, "validation_error")
    assert answer.json["details"]["errors"][0]["field"] == header
    assert set(content().values()) == {0}


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "x" * 10_000, "ü", "\x1b[31m", " "])
def test_harmful_correlation_id_is_replaced(
    shared_site: Gateway, value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = shared_site.get("/v1/jobs", headers={"x-correlation-id": value})
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-correlation-id"])
    for line in capfd.readouterr().out.splitlines():
        assert json.loads(line)["correlation_id"] == answer.headers["x-correlation-id"]


def test_reused_correlation_id_has_no_effect(site: Gateway) -> None:
    again = {"x-correlation-id": "c-1"}
    site.post("/v1/jobs", {**JOB, "id": "1"}, headers=again)
    other = bearer("jobs:write", subject="mallory")
    changed = site.send(
        "PATCH", "/v1/jobs/1", json={"cpu_usage": 9}, headers=again, authorization=other
    )
    assert changed.json["cpu_usage"] == 9
    assert [(event["changed_by"], event["correlation_id"]) for event in trail(site)] == [
        ("tester", "c-1"),
        ("mallory", "c-1"),
    ]


NO_IDS = (
    "1' OR '1'='1", "1;DROP TABLE jobs", "1%27--", "../../etc/passwd", "%2e%2e", "1%00", "{jobId}",
    "*", "%",
)  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("job_id", NO_IDS)
def test_hostile_job_id_is_rejected(shared_site: Gateway, method: str, job_id: str) -> None:
    body = {"cpu_usage": 9} if method == "PATCH" else None
    path = f"/v1/jobs/{job_id}".replace("/..", "%2F..")
    answer = shared_site.send(method, path, json=body)
    assert answer.status in (400, 404)
    assert not LEAKS.search(answer.body.decode())
    assert shared_site.get("/v1/jobs").json["total"] == 0
