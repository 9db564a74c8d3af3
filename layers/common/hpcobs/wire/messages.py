"""A message on the queue: a line of JSON that says what follows, then a batch as it was posted.

Both are compressed together (gzip). ``{"v":1,"first":0}``: the format's version, and the place in
its batch of the first sample, which is not 0 where a batch was too large for one message.
"""

from __future__ import annotations

import zlib

import msgspec
from isal import igzip

from hpcobs.wire.decoding import DecodedBatch, decode_batch

VERSION = 1
MAX_BYTES = 64 * 1024 * 1024
"""No message inflates to more: ingest takes bodies of 10 MB at the most."""


class MessageError(ValueError):
    """A message that no collector can read."""


class Header(msgspec.Struct):
    """What stands before the batch."""

    v: int
    first: int = 0


_HEADER = msgspec.json.Decoder(Header)


def pack(batch: bytes, *, first_position: int = 0) -> bytes:
    """A message of a batch's JSON."""
    header = msgspec.json.encode(Header(v=VERSION, first=first_position))
    return igzip.compress(header + b"\n" + batch, 1)


def unpack(message: bytes) -> DecodedBatch:
    """The batch in a message; MessageError if it cannot be read at all.

    InvalidInputError if what it holds is no batch.
    """
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(message, MAX_BYTES)
        header, _, batch = content.partition(b"\n")
        what = _HEADER.decode(header)
    except (zlib.error, msgspec.DecodeError) as error:
        raise MessageError(f"unreadable: {error}") from error
    if not inflater.eof:
        raise MessageError("unreadable: cut short, or too large")
    if what.v != VERSION:
        raise MessageError(f"unreadable: format version {what.v} is not known")
    return decode_batch(batch, first_position=what.first)
