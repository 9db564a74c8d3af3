"""The trail names the true subject and source of every change, whatever the headers claim."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.http.routes import ROUTES
from tests.functions.attacks import END, JOB, SAMPLE, START, path_of

if TYPE_CHECKING:
    from hpcobs.http.routes import Route
    from tests.functions.gateway import Gateway
    from tests.stores import Query

SEEN = {
    "observed_at": "2026-11-02T08:30:00Z",
    "jobs": [{"job_id": "1", "user": "ada", "state": "RUNNING", "node_list": "n1"}],
}
BODIES: dict[str, tuple[dict[str, Any] | None, str]] = {
    "POST /v1/jobs": ({**JOB, "id": "2"}, "api"),
    "PATCH /v1/jobs/{jobId}": ({"state": "failed"}, "api"),
    "DELETE /v1/jobs/{jobId}": (None, "api"),
    "POST /v1/events/job-started": ({**START, "job_id": "3"}, "slurm"),
    "POST /v1/events/job-finished": ({**END, "job_id": "1"}, "slurm"),
    "POST /v1/events/jobs": (SEEN, "slurm"),
}
"""The bodies of the routes that change a job, and the source that the service knows."""
BATCH = {"node": "n1", "batch_id": "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c", "samples": []}
UNAUDITED: dict[str, dict[str, Any]] = {
    "POST /v1/jobs/{jobId}/metrics": SAMPLE,
    "POST /v1/samples": BATCH,
}
MUTATIONS = [route for route in ROUTES if route.method != "GET"]
CLAIMS = [
    "slurm", "api", "collector", "mock", "portal", "slurm)", "api (slurm)", ") (", "ü 💥",
    "x" * 255,
]  # fmt: skip


def bodies_of(route: Route) -> tuple[dict[str, Any] | None, str]:
    return BODIES.get(route.key) or (UNAUDITED[route.key], "")


@pytest.mark.parametrize("route", MUTATIONS, ids=lambda route: route.key)
@pytest.mark.parametrize("claim", CLAIMS)
def test_headers_only_add_to_trail(site: Gateway, query: Query, route: Route, claim: str) -> None:
    site.post("/v1/jobs", {**JOB, "id": "1"})
    body, source = bodies_of(route)
    headers = {"x-source": claim, "x-changed-by": claim, "x-correlation-id": "c-7"}
    answer = site.send(route.method, path_of(route), json=body, headers=headers)
    assert answer.status < 300, answer.body
    found = query(
        "SELECT changed_by, source FROM job_audit_events WHERE correlation_id = %s", "c-7"
    )
    expected = [(f"tester ({claim})", f"{source} ({claim})")] if source else []
    assert found == expected


@pytest.mark.parametrize("key", BODIES)
@pytest.mark.parametrize("claim", ["", " ", None])
def test_absent_claim_adds_nothing(
    site: Gateway, query: Query, key: str, claim: str | None
) -> None:
    site.post("/v1/jobs", {**JOB, "id": "1"})
    (route,) = (route for route in MUTATIONS if route.key == key)
    body, source = BODIES[key]
    claims = {} if claim is None else {"x-source": claim, "x-changed-by": claim}
    headers = {**claims, "x-correlation-id": "c-7"}
    site.send(route.method, path_of(route), json=body, headers=headers)
    found = query("SELECT changed_by, source FROM job_audit_events WHERE correlation_id = 'c-7'")
    assert found == [("tester", source)]
