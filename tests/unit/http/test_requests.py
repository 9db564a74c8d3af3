"""Which route an event is for, and whether its caller may use it."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from hpcobs.domain.errors import (
    DomainError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    UnauthorizedError,
)
from hpcobs.http.errors import MethodNotAllowedError
from hpcobs.http.matching import resolved_path, route_of
from hpcobs.http.request import authorised, correlation_id_of, read_request
from hpcobs.http.routes import BY_KEY, ROUTES, Route

SCOPED = [route for route in ROUTES if route.scope is not None]
GET_JOB = BY_KEY["GET /v1/jobs/{jobId}"]
PATCH_JOB = BY_KEY["PATCH /v1/jobs/{jobId}"]


def event(method: str, path: str, *, stage: str = "$default", **parts: Any) -> dict[str, Any]:
    context = {"stage": stage, "http": {"method": method, "path": path}}
    given = {"routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": {}}
    return {**given, "requestContext": context, **parts}


def from_caller(context: dict[str, Any] | None) -> dict[str, Any]:
    made = event("GET", "/")
    if context is not None:
        made["requestContext"]["authorizer"] = {"lambda": context}
    return made


def caller(scopes: str, **limits: Any) -> dict[str, Any]:
    return from_caller({"subject": "ada", "scopes": scopes, **limits})


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.key))
def test_the_gateways_match_is_taken(route: Route) -> None:
    assert route_of(event(route.method, "/", routeKey=route.key)) is route


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/jobs/", "/v1/jobs/1/2", "/v2/jobs", "/v1/nope"])
def test_an_unknown_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFoundError):
        route_of(event("GET", path))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, POST"),
        ("POST", "/v1/jobs/1", "DELETE, GET, PATCH"),
        ("GET", "/v1/samples", "POST"),
        ("HEAD", "/metrics", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method: str, path: str, allowed: str) -> None:
    with pytest.raises(MethodNotAllowedError) as caught:
        route_of(event(method, path))
    assert caught.value.allowed == allowed


def test_a_stage_before_the_path_is_looked_through() -> None:
    with pytest.raises(MethodNotAllowedError):
        route_of(event("PUT", "/prod/v1/jobs", stage="prod"))


def test_a_route_that_is_not_in_the_table_is_not_answered() -> None:
    with pytest.raises(NotFoundError):
        route_of(event("GET", "/v1/secret", routeKey="GET /v1/secret"))


@pytest.mark.parametrize("job_id", ["1", "123_4", "other.77", "1_[1-3]", "1+0", "1%2B0"])
def test_a_jobs_id_is_taken_from_the_path(job_id: str) -> None:
    made = event("GET", "/whatever", pathParameters={"jobId": job_id})
    assert resolved_path(made, GET_JOB) == f"/v1/jobs/{job_id.replace('%2B', '+')}"


@pytest.mark.parametrize(
    "job_id",
    ["a/b", "1%2Fmetrics", "..", "%2E%2E", "1 ", "1\0", "%00", "é", "x" * 321, "1?x", "1%0A"],
)
def test_what_cannot_be_an_id_leads_nowhere(job_id: str) -> None:
    with pytest.raises(InvalidInputError, match="jobId"):
        resolved_path(event("GET", "/", pathParameters={"jobId": job_id}), GET_JOB)


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_every_scoped_route_asks_for_its_scope_and_no_other(route: Route) -> None:
    assert route.scope is not None
    others = {other.scope for other in SCOPED} - {route.scope}
    assert authorised(caller(route.scope), route).subject == "ada"
    assert authorised(caller("admin"), route).subject == "ada"
    with pytest.raises(ForbiddenError, match=route.scope):
        authorised(caller(" ".join(str(scope) for scope in others)), route)


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
@pytest.mark.parametrize(
    "context", [None, {}, {"error": "the token has expired"}, {"scopes": "admin"}]
)
def test_without_a_principal_nothing_is_open(route: Route, context: dict[str, Any] | None) -> None:
    with pytest.raises(UnauthorizedError):
        authorised(from_caller(context), route)


def test_the_reason_for_a_refusal_is_told() -> None:
    with pytest.raises(UnauthorizedError, match="expired"):
        authorised(from_caller({"error": "the token has expired", "scopes": "admin"}), GET_JOB)


def test_a_verdict_that_was_kept_beyond_the_tokens_end_is_not_believed() -> None:
    context = {"subject": "ada", "scopes": "admin", "expires_at": int(time.time()) - 1}
    with pytest.raises(UnauthorizedError, match="expired"):
        authorised(from_caller(context), GET_JOB)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.key))
def test_open_routes_ask_for_nothing(route: Route) -> None:
    if route.scope is None:
        assert authorised(from_caller(None), route).subject == "anonymous"


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_a_nodes_token_opens_events_and_samples_only(route: Route) -> None:
    if route.scope in ("events:write", "samples:write"):
        assert authorised(caller("admin", node="n1"), route).node == "n1"
    else:
        with pytest.raises(ForbiddenError, match="node"):
            authorised(caller("admin", node="n1"), route)


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_a_users_token_opens_jobs_only(route: Route) -> None:
    if route.scope in ("jobs:read", "jobs:write"):
        assert authorised(caller("admin", user="ada"), route).user == "ada"
    else:
        with pytest.raises(ForbiddenError, match="user"):
            authorised(caller("admin", user="ada"), route)


@pytest.mark.parametrize("given", ["abc-1", "x" * 128, "a b"])
def test_a_correlation_id_is_kept(given: str) -> None:
    assert correlation_id_of(event("GET", "/", headers={"x-correlation-id": given})) == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a\nb", "a\0", "é"])
def test_a_correlation_id_is_made_where_there_is_no_good_one(given: str) -> None:
    made = correlation_id_of(event("GET", "/", headers={"x-correlation-id": given}))
    assert uuid.UUID(made).version == 4


def audit_of(**headers: str) -> tuple[str, str, str]:
    made = caller("admin")
    made["headers"] = {name.replace("_", "-"): value for name, value in headers.items()}
    info = read_request(made, PATCH_JOB, "id-1").audit(default_source="api")
    return info.changed_by, info.source, info.correlation_id


def test_the_tokens_subject_answers_for_a_change() -> None:
    assert audit_of() == ("ada", "api", "id-1")


def test_headers_add_to_the_subject_and_never_replace_it() -> None:
    assert audit_of(x_changed_by="bob", x_source="portal") == ("ada (bob)", "portal", "id-1")


@pytest.mark.parametrize("value", ["x" * 256, "a\0b", "a\nb"])
@pytest.mark.parametrize("name", ["x_changed_by", "x_source"])
def test_headers_that_cannot_be_recorded_are_refused(name: str, value: str) -> None:
    with pytest.raises(DomainError, match="printable"):
        audit_of(**{name: value})
