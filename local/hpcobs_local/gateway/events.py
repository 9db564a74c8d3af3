"""Events as an HTTP API sends them to Lambda: payload format version 2.0.

Format: "Create AWS Lambda proxy integrations for HTTP APIs" and "Control access to HTTP APIs with
AWS Lambda authorizers" in the API Gateway developer guide.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpcobs_local.gateway.matching import Match
    from hpcobs_local.gateway.requests import Request

Event = dict[str, Any]

_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")
_ACCOUNT = "000000000000"
_API = "local"


def proxy_event(
    request: Request, match: Match, body: bytes, authorizer: Mapping[str, Any] | None
) -> Event:
    """Return the event for a function. ``authorizer`` is the context from the authorizer."""
    event = _common(request, match)
    if authorizer is not None:
        event["requestContext"]["authorizer"] = {"lambda": dict(authorizer)}
    text = _as_text(request, body)
    event["isBase64Encoded"] = text is None
    if body:
        event["body"] = base64.b64encode(body).decode("ascii") if text is None else text
    return event


def authorizer_event(request: Request, match: Match) -> Event:
    """Return the event for the authorizer, which has no body."""
    return {
        **_common(request, match),
        "type": "REQUEST",
        "routeArn": f"arn:aws:execute-api:local:{_ACCOUNT}:{_API}/$default/{match.route_key}",
        "identitySource": [request.headers.get("authorization", "")],
    }


def _common(request: Request, match: Match) -> Event:
    event: Event = {
        "version": "2.0",
        "routeKey": match.route_key,
        # API Gateway decodes the path, even an escaped slash.
        "rawPath": unquote(request.raw_path),
        "rawQueryString": request.query,
        "headers": {**request.headers, **_forwarded(request)},
        "requestContext": _context(request, match),
    }
    query = _joined_query(request.query)
    if query:
        event["queryStringParameters"] = query
    if request.cookies:
        event["cookies"] = list(request.cookies)
    if match.parameters:
        event["pathParameters"] = dict(match.parameters)
    return event


def _forwarded(request: Request) -> dict[str, str]:
    return {"x-forwarded-for": request.source_ip, "x-forwarded-proto": "http"}


def _context(request: Request, match: Match) -> dict[str, Any]:
    received = datetime.fromtimestamp(request.received_at, UTC)
    return {
        "accountId": _ACCOUNT,
        "apiId": _API,
        "domainName": request.headers.get("host", ""),
        "http": {
            "method": request.method,
            "path": unquote(request.raw_path),
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request.id,
        "routeKey": match.route_key,
        "stage": "$default",
        "time": received.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(request.received_at * 1000),
    }


def _joined_query(query: str) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        # API Gateway joins repeated parameters by commas, without escaping commas in the values.
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _as_text(request: Request, body: bytes) -> str | None:
    """Return the body as text, or None if it has to be sent in base64."""
    if "content-encoding" in request.headers:
        return None
    kind = request.headers.get("content-type", "text/plain").partition(";")[0].strip().lower()
    if not kind.startswith("text/") and kind not in _TEXT_TYPES:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
