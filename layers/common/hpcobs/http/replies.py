"""What routes give back to Powertools' resolver; the wrapper adds compression and headers."""

from __future__ import annotations

import msgspec
from aws_lambda_powertools.event_handler import Response

from hpcobs.http.answers import JSON


def json_reply(value: object, *, status: int = 200) -> Response[str]:
    """``value`` as JSON; times become RFC 3339."""
    return Response(status, JSON, msgspec.json.encode(value).decode())


def text_reply(
    content: str, *, content_type: str, headers: dict[str, str] | None = None
) -> Response[str]:
    """A text of some type."""
    return Response(200, content_type, content, headers=dict(headers or {}))


def empty_reply() -> Response[str]:
    """204: done, and there is nothing to say."""
    return Response(204)
