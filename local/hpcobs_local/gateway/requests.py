"""A request as it came over HTTP."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hpcobs_local.gateway.asgi import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Request line and headers; names of headers are lower case, repeated ones are joined."""

    method: str
    raw_path: str
    query: str
    protocol: str
    headers: Mapping[str, str]
    cookies: tuple[str, ...]
    source_ip: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    received_at: float = field(default_factory=time.time)

    @property
    def head_bytes(self) -> int:
        """What the request line and the headers have, roughly."""
        line = len(self.method) + len(self.raw_path) + len(self.query)
        fields = sum(len(name) + len(value) for name, value in self.headers.items())
        return line + fields + sum(map(len, self.cookies))

    @property
    def content_length(self) -> int:
        """What the client says that its body has; 0 if it does not say."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else 0


def from_scope(scope: Scope) -> Request:
    """The request in an ASGI scope."""
    raw_path = scope.get("raw_path") or scope["path"].encode()
    client = scope.get("client") or ("127.0.0.1", 0)
    return Request(
        method=scope["method"],
        raw_path=raw_path.decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        protocol=f"HTTP/{scope['http_version']}",
        headers=_joined(scope["headers"]),
        cookies=_cookies(scope["headers"]),
        source_ip=client[0],
    )


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
        if name != "cookie":
            joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined


def _cookies(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str, ...]:
    given = ";".join(_text(value) for name, value in headers if name.lower() == b"cookie")
    return tuple(cookie.strip() for cookie in given.split(";") if cookie.strip())


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
