"""Reading a request's body within a size and a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs_local.gateway.asgi import Receive
    from hpcobs_local.gateway.requests import Request

MAX_BODY_BYTES = 10 * 1024 * 1024
BODY_SECONDS = 30.0
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024 * 1024


class BodyTooLargeError(Exception):
    """The body is larger than MAX_BODY_BYTES."""


class ClientGoneError(Exception):
    """The client closed the connection before its request was complete."""


async def read_body(request: Request, receive: Receive) -> bytes:
    """The whole body; TimeoutError if it takes longer than BODY_SECONDS."""
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
            if size > MAX_BODY_BYTES:
                raise BodyTooLargeError
            if not message.get("more_body", False):
                return b"".join(chunks)


async def linger(receive: Receive) -> None:
    """Throw away what a client still sends, for a while, so that it comes to read the answer.

    A connection that is closed amid a request looks like a broken network to its sender.
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
