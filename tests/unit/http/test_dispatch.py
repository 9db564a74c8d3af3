"""Which handler an event reaches, and which handlers may be registered."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import NotFoundError
from hpcobs.http.app import Handlers, HttpApp, RouteError
from hpcobs.http.errors import MethodNotAllowedError
from hpcobs.http.response import Response
from hpcobs.http.routes import BY_KEY, ROUTES, Route

if TYPE_CHECKING:
    from hpcobs.http.request import Request

GET_JOB = "GET /v1/jobs/{jobId}"
FUNCTIONS = sorted({route.function for route in ROUTES})


def handler(_: Request) -> Response:
    return Response(204)


def answered_by(function: str) -> Handlers:
    """Return handlers for all routes of a function."""
    handlers = Handlers(function)
    for route in ROUTES:
        if route.function == function:
            handlers.route(route.key)(handler)
    return handlers


def event(method: str, path: str, *, stage: str = "$default", key: str = "") -> dict[str, Any]:
    context = {"stage": stage, "http": {"method": method, "path": path}}
    return {"routeKey": key or "$default", "rawPath": path, "requestContext": context}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_route_has_one_handler_in_its_function(function: str) -> None:
    app: HttpApp = import_module(f"functions.{function}.handler").app
    expected = sorted(route.key for route in ROUTES if route.function == function)
    assert sorted(key for key, _ in app.handlers) == expected


def test_handler_of_unknown_route_fails_import() -> None:
    with pytest.raises(RouteError, match="GET /v1/nope is not in the table"):
        Handlers("api").route("GET /v1/nope")(handler)


def test_handler_in_wrong_function_fails_import() -> None:
    with pytest.raises(RouteError, match="a route of api, not of events"):
        Handlers("events").route(GET_JOB)(handler)
    with pytest.raises(RouteError, match="a route of api, not of events"):
        HttpApp("events", answered_by("api"), networks=lambda: None)


def test_second_handler_of_route_fails_import() -> None:
    handlers = answered_by("api")
    with pytest.raises(RouteError, match="has a handler already"):
        handlers.route(GET_JOB)(handler)
    with pytest.raises(RouteError, match="has a handler already"):
        HttpApp("api", handlers, answered_by("api"), networks=lambda: None)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: str(route.key))
def test_route_key_selects_route_and_handler(route: Route) -> None:
    # The path is of no importance: the gateway has matched it already.
    matched = event(route.method, "/", key=route.key)
    assert answered_by(route.function).find(matched) == (route, handler)


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/jobs/", "/v1/jobs/1/2", "/v2/jobs", "/v1/nope"])
def test_unknown_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFoundError):
        answered_by("api").find(event("GET", path))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/jobs", "GET, POST"),
        ("POST", "/v1/jobs/1", "DELETE, GET, PATCH"),
        ("GET", "/v1/samples", "POST"),
        ("HEAD", "/metrics", "GET"),
    ],
)
def test_wrong_method_lists_allowed_ones(method: str, path: str, allowed: str) -> None:
    with pytest.raises(MethodNotAllowedError) as caught:
        answered_by("api").find(event(method, path))
    assert caught.value.allowed == allowed


def test_stage_before_path_is_ignored() -> None:
    with pytest.raises(MethodNotAllowedError):
        answered_by("api").find(event("PUT", "/prod/v1/jobs", stage="prod"))


def test_route_outside_table_is_not_answered() -> None:
    with pytest.raises(NotFoundError):
        answered_by("api").find(event("GET", "/v1/secret", key="GET /v1/secret"))


def test_route_of_other_function_is_not_answered() -> None:
    with pytest.raises(NotFoundError):
        answered_by("events").find(event("GET", "/v1/jobs", key=BY_KEY["GET /v1/jobs"].key))
