"""Requests: whether the caller may use the route, the path's job id, and what headers add."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from hpcobs.domain.errors import (
    DomainError,
    ForbiddenError,
    InvalidInputError,
    UnauthorizedError,
)
from hpcobs.http.app import authorised
from hpcobs.http.request import Request, correlation_id_of, read_request
from hpcobs.http.routes import BY_KEY, ROUTES, Route

SCOPED = [route for route in ROUTES if route.scope is not None]
GET_JOB = BY_KEY["GET /v1/jobs/{jobId}"]
PATCH_JOB = BY_KEY["PATCH /v1/jobs/{jobId}"]


def event(method: str, path: str, **parts: Any) -> dict[str, Any]:
    context = {"stage": "$default", "http": {"method": method, "path": path}}
    given = {"routeKey": "$default", "rawPath": path, "rawQueryString": "", "headers": {}}
    return {**given, "requestContext": context, **parts}


def request(route: Route, made: dict[str, Any]) -> Request:
    principal = authorised({**made, "requestContext": caller("admin")["requestContext"]}, route)
    return read_request(made, route, principal, correlation_id="id-1")


def from_caller(context: dict[str, Any] | None) -> dict[str, Any]:
    made = event("GET", "/")
    if context is not None:
        made["requestContext"]["authorizer"] = {"lambda": context}
    return made


def caller(scopes: str, **limits: Any) -> dict[str, Any]:
    return from_caller({"subject": "ada", "scopes": scopes, **limits})


@pytest.mark.parametrize("job_id", ["1", "123_4", "other.77", "1_[1-3]", "1+0", "1%2B0"])
def test_job_id_comes_from_path(job_id: str) -> None:
    made = event("GET", "/whatever", pathParameters={"jobId": job_id})
    assert request(GET_JOB, made).job_id == job_id.replace("%2B", "+")


@pytest.mark.parametrize(
    "job_id",
    ["a/b", "1%2Fmetrics", "..", "%2E%2E", "1 ", "1\0", "%00", "é", "x" * 321, "1?x", "1%0A"],
)
def test_bad_job_id_in_path_is_rejected(job_id: str) -> None:
    made = request(GET_JOB, event("GET", "/", pathParameters={"jobId": job_id}))
    with pytest.raises(InvalidInputError, match="jobId"):
        _ = made.job_id


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_route_needs_its_own_scope(route: Route) -> None:
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
def test_route_is_closed_without_principal(route: Route, context: dict[str, Any] | None) -> None:
    with pytest.raises(UnauthorizedError):
        authorised(from_caller(context), route)


def test_authorizers_reason_is_passed_on() -> None:
    with pytest.raises(UnauthorizedError, match="expired"):
        authorised(from_caller({"error": "the token has expired", "scopes": "admin"}), GET_JOB)


def test_cached_verdict_ends_with_its_token() -> None:
    context = {"subject": "ada", "scopes": "admin", "expires_at": int(time.time()) - 1}
    with pytest.raises(UnauthorizedError, match="expired"):
        authorised(from_caller(context), GET_JOB)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.key))
def test_open_routes_need_no_token(route: Route) -> None:
    if route.scope is None:
        assert authorised(from_caller(None), route).subject == "anonymous"


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_node_token_opens_events_and_samples(route: Route) -> None:
    if route.scope in ("events:write", "samples:write"):
        assert authorised(caller("admin", node="n1"), route).node == "n1"
    else:
        with pytest.raises(ForbiddenError, match="node"):
            authorised(caller("admin", node="n1"), route)


@pytest.mark.parametrize("route", SCOPED, ids=lambda route: str(route.key))
def test_user_token_opens_jobs_only(route: Route) -> None:
    if route.scope in ("jobs:read", "jobs:write"):
        assert authorised(caller("admin", user="ada"), route).user == "ada"
    else:
        with pytest.raises(ForbiddenError, match="user"):
            authorised(caller("admin", user="ada"), route)


@pytest.mark.parametrize("given", ["abc-1", "x" * 128, "a b"])
def test_good_correlation_id_is_kept(given: str) -> None:
    assert correlation_id_of(event("GET", "/", headers={"x-correlation-id": given})) == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a\nb", "a\0", "é"])
def test_bad_correlation_id_is_replaced(given: str) -> None:
    made = correlation_id_of(event("GET", "/", headers={"x-correlation-id": given}))
    assert uuid.UUID(made).version == 4


def audit_of(**headers: str) -> tuple[str, str, str]:
    made = caller("admin")
    made["headers"] = {name.replace("_", "-"): value for name, value in headers.items()}
    info = request(PATCH_JOB, made).audit(default_source="api")
    return info.changed_by, info.source, info.correlation_id


def test_audit_names_token_subject() -> None:
    assert audit_of() == ("ada", "api", "id-1")


def test_headers_never_replace_audit_subject() -> None:
    assert audit_of(x_changed_by="bob", x_source="portal") == ("ada (bob)", "api (portal)", "id-1")


@pytest.mark.parametrize("value", ["x" * 256, "a\0b", "a\nb"])
@pytest.mark.parametrize("name", ["x_changed_by", "x_source"])
def test_unprintable_audit_headers_are_rejected(name: str, value: str) -> None:
    with pytest.raises(DomainError, match="printable"):
        audit_of(**{name: value})
