"""Responses: status, headers and body as bytes, and their form for API Gateway."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from isal import isal_zlib

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
OPENMETRICS = "application/openmetrics-text"

# Below this size a gzip header, base64 and the CPU time cost more than the packing saves.
GZIP_FROM_BYTES = 1024
# ISA-L's fastest level: a scrape is packed at every interval, and its client is near.
GZIP_LEVEL = 1
GZIP_WBITS = 31
"""zlib's number for a gzip header around the largest window."""

MAX_PAYLOAD_BYTES = 6_000_000
"""The limit of a body: Lambda's limit is 6 MB, and the headers need room."""

TEXT_UP_TO_BYTES = 512_000
"""Up to this size a body travels as text: with every character escaped it is still below 6 MB."""

_SAFETY = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Response:
    """Status, body and headers, before compression."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(
        cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Make a response with ``value`` as JSON. Times become RFC 3339."""
        return cls(status, msgspec.json.encode(value), {"Content-Type": JSON, **(headers or {})})


def for_gateway(response: Response, *, accept_encoding: str | None) -> dict[str, Any] | None:
    """Return the response in API Gateway's payload format 2.0, or None if it is too large."""
    headers = {**_SAFETY, **response.headers}
    body = response.body
    packed = len(body) > GZIP_FROM_BYTES and accepts_gzip(accept_encoding)
    if len(body) > GZIP_FROM_BYTES:
        headers["Vary"] = "Accept-Encoding"
    if packed:
        body = isal_zlib.compress(body, GZIP_LEVEL, wbits=GZIP_WBITS)
        headers["Content-Encoding"] = "gzip"
    # Lambda counts the envelope as JSON. Base64 grows by a third and needs no escapes.
    as_text = not packed and len(body) <= TEXT_UP_TO_BYTES
    text = body.decode() if as_text else base64.b64encode(body).decode("ascii")
    if len(text) > MAX_PAYLOAD_BYTES:
        return None
    return {
        "statusCode": response.status,
        "headers": headers,
        "body": text,
        "isBase64Encoded": not as_text,
    }


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Return whether the client accepts gzip and does not prefer an uncompressed body."""
    accepted = qualities(accept_encoding)
    gzip = max(accepted.get("gzip", accepted.get("*", 0.0)), accepted.get("x-gzip", 0.0))
    return gzip > 0 and gzip >= accepted.get("identity", 0.0)


def prefers_openmetrics(accept: str | None) -> bool:
    """Return whether the client names OpenMetrics and does not prefer Prometheus's own text."""
    # Wildcards do not count: a browser's */* is served the text that people can read.
    accepted = qualities(accept)
    openmetrics = accepted.get(OPENMETRICS, 0.0)
    return openmetrics > 0 and openmetrics >= accepted.get("text/plain", 0.0)


def qualities(header: str | None) -> dict[str, float]:
    """Parse ``Accept`` or ``Accept-Encoding`` (RFC 9110, 12.4).

    Return each named choice, lower case and without parameters, with its highest quality.
    """
    found: dict[str, float] = {}
    for item in (header or "").split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        if name:
            found[name] = max(_quality(parameters), found.get(name, 0.0))
    return found


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return _number(value)
    return 1.0


def _number(text: str) -> float:
    # A malformed quality counts as 0, which is not accepted: plain text is always right.
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0
