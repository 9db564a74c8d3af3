"""Answers, and how they travel: JSON, gzip where it is welcome, base64 for the gateway."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from isal import isal_zlib

from hpcobs.http.negotiation import accepts_gzip

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = "application/json"
GZIP_FROM_BYTES = 1024
GZIP_LEVEL = 1
GZIP_WBITS = 31
"""zlib's number for a gzip header around the largest window."""

MAX_PAYLOAD_BYTES = 6_000_000
"""What fits into a Lambda's response of 6 MB, with room for the headers."""

TEXT_UP_TO_BYTES = 512_000
"""Up to here a body travels as text: even with every character escaped it stays below the limit."""

_SAFETY = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body, before compression."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(
        cls, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """An answer whose body is ``value`` as JSON; times become RFC 3339."""
        return cls(status, msgspec.json.encode(value), {"Content-Type": JSON, **(headers or {})})


def for_gateway(answer: Answer, *, accept_encoding: str | None) -> dict[str, Any] | None:
    """The answer as a Lambda returns it to API Gateway; None if it is too large for that."""
    headers = {**_SAFETY, **answer.headers}
    body = answer.body
    packed = len(body) > GZIP_FROM_BYTES and accepts_gzip(accept_encoding)
    if len(body) > GZIP_FROM_BYTES:
        headers["Vary"] = "Accept-Encoding"
    if packed:
        body = isal_zlib.compress(body, GZIP_LEVEL, wbits=GZIP_WBITS)
        headers["Content-Encoding"] = "gzip"
    as_text = not packed and len(body) <= TEXT_UP_TO_BYTES
    text = body.decode() if as_text else base64.b64encode(body).decode("ascii")
    if len(text) > MAX_PAYLOAD_BYTES:
        return None
    return {
        "statusCode": answer.status,
        "headers": headers,
        "body": text,
        "isBase64Encoded": not as_text,
    }
