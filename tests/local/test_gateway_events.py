"""The gateway's events are those of API Gateway's HTTP API, payload format version 2.0."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

from hpcobs.http.routes import ROUTES, Route
from hpcobs_local.gateway.matching import RouteTable
from tests.local.gateways import Functions, ask


def event_of(method: str, path: str, **request: Any) -> Any:
    """Return the event that the function received for a request."""
    functions = Functions()
    ask(functions, method, path, **request)
    name, event = functions.events[-1]
    assert name != "authorizer"
    return event


def test_event_has_route_key_and_parameters() -> None:
    event = event_of("GET", "/v1/jobs/4711/metrics?limit=5")
    assert event["version"] == "2.0"
    assert (
        event["routeKey"] == event["requestContext"]["routeKey"] == "GET /v1/jobs/{jobId}/metrics"
    )
    assert event["pathParameters"] == {"jobId": "4711"}
    assert event["rawPath"] == "/v1/jobs/4711/metrics"
    assert event["rawQueryString"] == "limit=5"
    assert event["queryStringParameters"] == {"limit": "5"}
    assert event["requestContext"]["stage"] == "$default"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.key)
def test_each_route_of_table_matches(route: Route) -> None:
    match = RouteTable().match(route.method, route.path.replace("{jobId}", "1"))
    assert (match.route_key, match.function, match.scope) == (
        route.key,
        route.function,
        route.scope,
    )


def test_static_route_comes_before_parameter() -> None:
    routes = [
        Route("GET", "/v1/jobs/{jobId}", "api", None),
        Route("GET", "/v1/jobs/mine", "a", None),
    ]
    assert RouteTable(routes).match("GET", "/v1/jobs/mine").route_key == "GET /v1/jobs/mine"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/jobs/"),
        ("GET", "/v1/jobs//metrics"),
        ("GET", "/v1/jobs/1/2/3"),
        ("PUT", "/v1/jobs/1"),
        ("HEAD", "/v1/jobs"),
        ("OPTIONS", "/v1/jobs"),
    ],
)
def test_unmatched_request_goes_to_default_route(method: str, path: str) -> None:
    event = event_of(method, path)
    assert event["routeKey"] == "$default"
    assert event["requestContext"]["http"]["method"] == method
    assert "pathParameters" not in event


def test_escaped_slash_separates_no_segments() -> None:
    event = event_of("GET", "/v1/jobs/a%2Fb%20%C3%BC")
    assert event["routeKey"] == "GET /v1/jobs/{jobId}"
    assert event["pathParameters"] == {"jobId": "a/b ü"}
    assert event["rawPath"] == "/v1/jobs/a/b ü"


def test_repeated_headers_are_joined_in_lower_case() -> None:
    headers = [("X-Source", "a"), ("x-source", "b"), ("Authorization", "Bearer t")]
    event = event_of("GET", "/v1/jobs", headers=headers, authorization=None)
    assert event["headers"]["x-source"] == "a,b"
    assert event["headers"]["x-forwarded-for"] == "127.0.0.1"


def test_cookies_are_separate_from_headers() -> None:
    event = event_of("GET", "/v1/health", headers={"cookie": "a=1; b=2"})
    assert event["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in event["headers"]


def test_repeated_query_parameters_are_joined() -> None:
    event = event_of("GET", "/v1/jobs?user=a&user=b&q=&state=%20x")
    assert event["rawQueryString"] == "user=a&user=b&q=&state=%20x"
    assert event["queryStringParameters"] == {"user": "a,b", "q": "", "state": " x"}


def test_text_body_is_sent_as_text() -> None:
    event = event_of("POST", "/v1/jobs", json={"id": "ü"})
    assert event["isBase64Encoded"] is False
    assert event["body"] == '{"id":"ü"}'


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        (
            {"content-type": "application/json", "content-encoding": "gzip"},
            gzip.compress(b"{}", mtime=0),
        ),
        ({"content-type": "application/octet-stream"}, b"{}"),
        ({"content-type": "application/json"}, b'{"a": "\xff"}'),
    ],
)
def test_other_bodies_are_sent_in_base64(headers: dict[str, str], content: bytes) -> None:
    event = event_of("POST", "/v1/samples", headers=headers, content=content)
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == content


def test_event_without_body_has_none() -> None:
    event = event_of("GET", "/v1/jobs")
    assert "body" not in event
    assert event["isBase64Encoded"] is False


def test_request_context_describes_request() -> None:
    context = event_of("GET", "/v1/jobs", headers={"user-agent": "tried"})["requestContext"]
    assert context["http"] == {
        "method": "GET",
        "path": "/v1/jobs",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "tried",
    }
    assert context["requestId"]
    assert context["timeEpoch"] > 1_700_000_000_000
    assert context["authorizer"] == {"lambda": {"subject": "ada", "scopes": "admin"}}
