"""Messages between the service and its environments: a length in four bytes, then JSON."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import asyncio
    from io import BufferedRWPair

_LENGTH = struct.Struct("!I")


def packed(message: object) -> bytes:
    """Encode a message with its length. Raise TypeError if it is not JSON."""
    body = msgspec.json.encode(message)
    return _LENGTH.pack(len(body)) + body


def read(stream: BufferedRWPair) -> Any:
    """Read the next message. Raise EOFError if the other side has closed the channel."""
    (length,) = _LENGTH.unpack(_exactly(stream, _LENGTH.size))
    return msgspec.json.decode(_exactly(stream, length))


def _exactly(stream: BufferedRWPair, size: int) -> bytes:
    content = stream.read(size)
    if content is None or len(content) < size:
        raise EOFError
    return content


async def receive(reader: asyncio.StreamReader) -> Any:
    """Read the next message in an event loop. Raise IncompleteReadError, which is an EOFError."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return msgspec.json.decode(await reader.readexactly(length))
