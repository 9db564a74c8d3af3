"""HTTP responses: those of functions, and the gateway's own errors in the API's JSON shape."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

# The same as in the functions' 503 responses (UnavailableError).
RETRY_AFTER_SECONDS = 5


class InvalidResponseError(Exception):
    """A function returned something that is not an HTTP response."""


@dataclass(frozen=True, slots=True)
class Response:
    """Status, headers and body. If ``close`` is true, the connection is closed afterwards."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    close: bool = False

    def raw_headers(self, request_id: str, *, correlation_id: str) -> list[tuple[bytes, bytes]]:
        """Return the headers for ASGI. A function's own correlation id comes before this one."""
        named = {name.lower(): value for name, value in self.headers.items()}
        named.setdefault("x-correlation-id", correlation_id)
        named["apigw-requestid"] = request_id
        if self.status not in (204, 304):
            named["content-length"] = str(len(self.body))
        if self.close:
            named["connection"] = "close"
        pairs = [*named.items(), *(("set-cookie", cookie) for cookie in self.cookies)]
        return [(name.encode("latin-1"), _latin(value)) for name, value in pairs]


def _latin(value: str) -> bytes:
    return value.encode("latin-1", "replace")


def from_function(result: Any) -> Response:
    """Return the response in a function's result. Raise InvalidResponseError if it has none."""
    if not isinstance(result, dict) or not isinstance(result.get("statusCode"), int):
        raise InvalidResponseError("the function's result has no statusCode")
    text = result.get("body") or ""
    body = base64.b64decode(text) if result.get("isBase64Encoded") else text.encode()
    headers = {name: str(value) for name, value in (result.get("headers") or {}).items()}
    return Response(result["statusCode"], body, headers, tuple(result.get("cookies") or ()))


def error_response(
    status: int, error: str, message: str, *, close: bool = False, **headers: str
) -> Response:
    """Return an error of the gateway. Names in ``headers`` have underscores for dashes."""
    body = msgspec.json.encode({"error": error, "message": message})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, body, {"content-type": "application/json", **named}, close=close)


def unauthorized() -> Response:
    """Return the error for a request without an Authorization header."""
    challenge = 'Bearer realm="hpcobs"'
    return error_response(401, "unauthorized", "a token is needed", www_authenticate=challenge)


def forbidden() -> Response:
    """Return the error for a request that the authorizer denied."""
    return error_response(403, "forbidden", "the authorizer denied the request")


def too_large(limit_bytes: int) -> Response:
    """Return the error for a body over the limit."""
    message = f"a body may have at most {limit_bytes} bytes"
    return error_response(413, "payload_too_large", message, close=True)


def head_too_large(limit_bytes: int) -> Response:
    """Return the error for a request line and headers over the limit."""
    message = f"a request line and its headers may have at most {limit_bytes} bytes"
    return error_response(431, "invalid_request", message, close=True)


def too_slow(seconds: float) -> Response:
    """Return the error for a body that took too long."""
    message = f"the body was not complete within {seconds:g} s"
    return error_response(400, "invalid_request", message, close=True)


def too_busy() -> Response:
    """Return the error for a request when too many wait, or when it waited too long."""
    message = "too many requests at once, try again shortly"
    return error_response(429, "too_many_requests", message, retry_after=str(RETRY_AFTER_SECONDS))


def too_many_connections() -> Response:
    """Return the error for a connection that is closed because there are too many."""
    message = "too many connections are open, try again shortly"
    retry_after = str(RETRY_AFTER_SECONDS)
    return error_response(429, "too_many_requests", message, close=True, retry_after=retry_after)


def not_http() -> Response:
    """Return the error for bytes that are no HTTP request."""
    return error_response(400, "invalid_request", "the request is not valid HTTP/1.1", close=True)


def unavailable() -> Response:
    """Return the error for a function that timed out."""
    message = "the service took too long to respond, try again shortly"
    return error_response(503, "unavailable", message, retry_after=str(RETRY_AFTER_SECONDS))


def internal_error() -> Response:
    """Return the error for a function that failed."""
    message = "something went wrong; it has been logged"
    return error_response(500, "internal_error", message)
