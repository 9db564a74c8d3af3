"""API Gateway for tests: real payload 2.0 events, through the authorizer, to the very handlers.

A handler is imported by the string that its Lambda is configured with. Every response is checked
against the contract: its status must be documented for the operation, its body must fit.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from hpcobs.auth.site_tokens import issue
from hpcobs.http import documentation
from hpcobs.http.routes import DEFAULT_ROUTE, ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.http.routes import Route

SECRET = "a secret for tests, long enough to be one"
CONTRACT = documentation.contract()
CONTEXT = SimpleNamespace(aws_request_id="3d3f6a9e-0000-4000-8000-000000000000")

Event = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """A response: ``headers`` by lower-case name, ``body`` unpacked."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The error's code."""
        return str(self.json["error"])


def token(scope: str = "admin", *, seconds: float = 3600, secret: str = SECRET, **more: Any) -> str:
    """Issue a token of the site."""
    expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
    given = {"subject": "tester", **more}
    return issue(secret, scopes=scope.split(), expires_at=expires_at, **given)


def handler(function: str) -> Callable[[Event, Any], Any]:
    """Import a function by the string that its Lambda is configured with."""
    module, _, name = f"functions.{function}.handler.lambda_handler".rpartition(".")
    found: Callable[[Event, Any], Any] = getattr(import_module(module), name)
    return found


class Gateway:
    """Sends requests as a client does. The default caller is an administrator."""

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: str | bytes | None = None,
        query: str = "",
        headers: dict[str, str] | None = None,
        authorization: str | None = "",
    ) -> Answer:
        """Send one request. ``authorization`` None sends no such header."""
        event = _event(method, path, query, {**(headers or {})}, _body_of(json, body))
        if authorization is not None:
            event["headers"]["authorization"] = authorization or f"Bearer {token()}"
        route, parameters = _match(method, path)
        event["routeKey"] = event["requestContext"]["routeKey"] = (
            route.key if route else DEFAULT_ROUTE
        )
        if parameters:
            event["pathParameters"] = parameters
        if route and route.scope is not None and "authorization" in event["headers"]:
            source = [event["headers"]["authorization"]]
            asked = {**event, "type": "REQUEST", "identitySource": source}
            verdict = handler("authorizer")(asked, CONTEXT)
            assert verdict["isAuthorized"] is True
            event["requestContext"]["authorizer"] = {"lambda": verdict["context"]}
        answer = _received(handler(route.function if route else "api")(event, CONTEXT))
        if route is not None:
            check_against_contract(route, answer)
        return answer

    def get(self, path: str, **options: Any) -> Answer:
        """Send a GET request."""
        return self.send("GET", path, **options)

    def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        """Send a POST request."""
        return self.send("POST", path, json=json, **options)


def check_against_contract(route: Route, answer: Answer) -> None:
    """Check that the operation documents this response."""
    operation = CONTRACT["paths"][route.path][route.method.lower()]
    documented = operation["responses"].get(str(answer.status))
    assert documented is not None, f"{route.key} does not document {answer.status}: {answer.body!r}"
    while "$ref" in documented:
        documented = CONTRACT["components"]["responses"][documented["$ref"].split("/")[-1]]
    assert answer.headers["x-correlation-id"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    if "content" not in documented:
        assert answer.body == b""
        return
    media = answer.headers["content-type"].split(";")[0]
    if media == "application/json":
        check_schema(documented["content"][media]["schema"], answer.json)
    assert media in documented["content"]


def check_schema(schema: dict[str, Any], value: Any) -> None:
    """Check ``value`` against a schema of the contract, its formats included."""
    Draft202012Validator(
        {**schema, "components": CONTRACT["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    ).validate(value)


def _body_of(value: Any, body: str | bytes | None) -> str | bytes | None:
    return body if value is None else json.dumps(value)


def _event(
    method: str, path: str, query: str, headers: dict[str, str], body: str | bytes | None
) -> Event:
    event: Event = {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "id.execute-api.eu-central-1.amazonaws.com", **headers},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": "id.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "id",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "tests",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "$default",
            "time": "02/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1793606400000,
        },
        "isBase64Encoded": isinstance(body, bytes),
    }
    if body is not None:
        event["body"] = base64.b64encode(body).decode() if isinstance(body, bytes) else body
    return event


def _match(method: str, path: str) -> tuple[Route | None, dict[str, str]]:
    for route in sorted(ROUTES, key=lambda route: "{" in route.path):
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)
        found = re.fullmatch(pattern, path, re.DOTALL)
        if found and route.method == method:
            return route, found.groupdict()
    return None, {}


def _received(response: dict[str, Any]) -> Answer:
    assert len(json.dumps(response)) < 6_291_556, "more than a Lambda may answer"
    headers = {name.lower(): value for name, value in response["headers"].items()}
    text = response["body"]
    body = base64.b64decode(text) if response["isBase64Encoded"] else text.encode()
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    return Answer(response["statusCode"], headers, body)
