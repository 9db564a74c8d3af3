"""What goes back over HTTP: a function's answer, or the gateway's own in the contract's shape."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

RETRY_AFTER_SECONDS = 5


class NoAnswerError(Exception):
    """What a function returned cannot be sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body, ready to be sent. ``close`` ends the connection afterwards."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    close: bool = False

    def raw_headers(self, request_id: str, *, correlation_id: str) -> list[tuple[bytes, bytes]]:
        """The headers as ASGI wants them; a function has told the correlation id by itself."""
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


def from_function(result: Any) -> Answer:
    """The answer that a function gave for a payload 2.0 event; NoAnswerError if it is none."""
    if not isinstance(result, dict) or not isinstance(result.get("statusCode"), int):
        raise NoAnswerError("the function's answer has no statusCode")
    text = result.get("body") or ""
    body = base64.b64decode(text) if result.get("isBase64Encoded") else text.encode()
    headers = {name: str(value) for name, value in (result.get("headers") or {}).items()}
    return Answer(result["statusCode"], body, headers, tuple(result.get("cookies") or ()))


def refusal(
    status: int, error: str, message: str, *, close: bool = False, **headers: str
) -> Answer:
    """An error of the gateway itself; ``headers`` are given with underscores for dashes."""
    body = msgspec.json.encode({"error": error, "message": message})
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, {"content-type": "application/json", **named}, close=close)


def unauthorized() -> Answer:
    """No Authorization header came."""
    challenge = 'Bearer realm="hpcobs"'
    return refusal(401, "unauthorized", "a token is needed", www_authenticate=challenge)


def forbidden() -> Answer:
    """The authorizer let nobody through."""
    return refusal(403, "forbidden", "the authorizer refused the request")


def too_large(limit_bytes: int) -> Answer:
    """The body is beyond the limit."""
    message = f"a body may have {limit_bytes} bytes at the most"
    return refusal(413, "payload_too_large", message, close=True)


def head_too_large(limit_bytes: int) -> Answer:
    """The request line and the headers are beyond the limit."""
    message = f"a request line and its headers may have {limit_bytes} bytes at the most"
    return refusal(431, "invalid_request", message, close=True)


def too_slow(seconds: float) -> Answer:
    """The body did not come in time."""
    message = f"the body did not come within {seconds:g} s"
    return refusal(400, "invalid_request", message, close=True)


def too_busy() -> Answer:
    """More requests wait than can be served soon."""
    message = "too many requests at once; try again shortly"
    return refusal(429, "too_many_requests", message, retry_after=str(RETRY_AFTER_SECONDS))


def unavailable() -> Answer:
    """The function gave no answer in time, or cannot be started."""
    message = "the service did not answer in time; try again shortly"
    return refusal(503, "unavailable", message, retry_after=str(RETRY_AFTER_SECONDS))


def internal_error() -> Answer:
    """The function failed."""
    message = "something went wrong; it has been logged"
    return refusal(500, "internal_error", message)
