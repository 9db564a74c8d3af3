"""A request over ASGI (https://asgi.readthedocs.io): its head, and its body within limits."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Scope = Mapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

MAX_HEAD_BYTES = 10_240
"""API Gateway's limit of the sum of request line and headers."""

MAX_BODY_BYTES = 10 * 1024 * 1024
"""API Gateway's limit of a body."""

# As long as API Gateway waits for a function.
BODY_SECONDS = 30.0
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024 * 1024


class HeadTooLargeError(Exception):
    """The request line and the headers are larger than MAX_HEAD_BYTES."""


class BodyTooLargeError(Exception):
    """The body is larger than MAX_BODY_BYTES."""


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Request line and headers. Header names are lower case, and repeated headers are joined."""

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
    def content_length(self) -> int:
        """The body's length by its header, 0 without one."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else 0

    def check_head(self) -> None:
        """Raise HeadTooLargeError if request line and headers exceed MAX_HEAD_BYTES."""
        line = len(self.method) + len(self.raw_path) + len(self.query)
        fields = sum(len(name) + len(value) for name, value in self.headers.items())
        if line + fields + sum(map(len, self.cookies)) > MAX_HEAD_BYTES:
            raise HeadTooLargeError


def from_scope(scope: Scope) -> Request:
    """Return the request of an ASGI scope."""
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
        # API Gateway has cookies in a field of their own, and not among the headers.
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


async def read_body(request: Request, receive: Receive) -> bytes:
    """Read the whole body.

    Raise BodyTooLargeError, ClientGoneError, or TimeoutError after BODY_SECONDS.
    """
    if request.content_length > MAX_BODY_BYTES:
        raise BodyTooLargeError
    chunks: list[bytes] = []
    size = 0
    async with asyncio.timeout(BODY_SECONDS):
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            # A chunked body has no length in advance.
            if size > MAX_BODY_BYTES:
                raise BodyTooLargeError
            if not message.get("more_body", False):
                return b"".join(chunks)


async def discard_rest(receive: Receive) -> None:
    """Read and discard the rest of a request, for a while, so that its client reads the response.

    A connection that is closed during a request looks like a network failure to its client.
    """
    size = 0
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while size < LINGER_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return
    except TimeoutError:
        return
