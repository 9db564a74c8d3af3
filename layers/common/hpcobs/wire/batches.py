"""Sample batches: decode one as it was posted, pack it into a queue message, unpack the message.

A good batch is decoded at once. One with faults is decoded sample by sample, so that a bad sample
affects no other, be it a bad value or no JSON. So are the host's readings. A fault of the whole
batch is an InvalidInputError that names the field.

A message is a line of JSON and a batch as it was posted, compressed together (gzip). The line,
``{"v":1,"first":0}``, holds the format's version and the place in its batch of the first sample,
which is not 0 where a batch was too large for one message.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from isal import igzip
from msgspec.json import Decoder

from hpcobs.domain.errors import InvalidInputError
from hpcobs.wire.entries import (
    WHOLE,
    decode_entry,
    decode_envelope,
    first_fault,
    job_id_in,
    may_have_control_characters,
)
from hpcobs.wire.samples import SampleBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

    from hpcobs.wire.samples import HostEntry, SampleEntry

MAX_PAYLOAD_CHARACTERS = 65_536

VERSION = 1
MAX_BYTES = 64 * 1024 * 1024
"""A message that inflates to more is rejected. ingest takes bodies of at most 10 MB."""


class Header(msgspec.Struct):
    """The line before the batch in a message."""

    v: int
    first: int = 0


_HEADER = Decoder(Header)
_BATCH = Decoder(SampleBatch)


class MessageError(ValueError):
    """A message that no collector can read."""


@dataclass(frozen=True, slots=True)
class RejectedEntry:
    """A bad sample: its place in the batch, the field and why, and its JSON as it was posted."""

    position: int
    field: str
    why: str
    payload: str

    @property
    def reason(self) -> str:
        """The fault in one line: ``samples[3].cpu_usage: expected float <= 100.0``."""
        return f"{self.field}: {self.why}"

    @property
    def job_id(self) -> str | None:
        """The sample's job, by which an operator finds it, or None if it cannot be read."""
        return job_id_in(self.payload)


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch with its good samples and their places in it, and the bad ones.

    ``host_fault`` is why the node's own readings are left out, if they are.
    """

    node: str
    batch_id: str
    cluster_name: str | None
    host: HostEntry | None
    entries: Sequence[SampleEntry]
    positions: Sequence[int]
    rejected: Sequence[RejectedEntry] = ()
    host_fault: str | None = None


def pack(batch: bytes, *, first_position: int = 0) -> bytes:
    """Make a message of a batch's JSON."""
    header = msgspec.json.encode(Header(v=VERSION, first=first_position))
    # Level 1: higher ones cost ingest more time than the queue's bytes are worth.
    return igzip.compress(header + b"\n" + batch, 1)


def unpack(message: bytes) -> DecodedBatch:
    """Decode the batch in a message.

    Raise MessageError if the message cannot be read, InvalidInputError if it holds no batch.
    """
    # zlib's inflater, because it stops at a limit: a small message may inflate to gigabytes.
    inflater = zlib.decompressobj(wbits=31)
    try:
        content = inflater.decompress(message, MAX_BYTES)
        line, _, batch = content.partition(b"\n")
        header = _HEADER.decode(line)
    except (zlib.error, msgspec.DecodeError) as error:
        raise MessageError(f"unreadable: {error}") from error
    if not inflater.eof:
        raise MessageError("unreadable: cut short, or too large")
    if header.v != VERSION:
        raise MessageError(f"unreadable: format version {header.v} is not known")
    return decode_batch(batch, first_position=header.first)


def decode_batch(body: bytes, *, first_position: int = 0) -> DecodedBatch:
    """Decode the batch in ``body``. Raise InvalidInputError where it is wrong as a whole.

    ``first_position`` is the place of the first sample, where ``body`` is a part of a larger batch.
    """
    try:
        batch = _BATCH.decode(body)
    except (ValueError, RecursionError):
        return _one_by_one(body, first_position)
    if first_fault(batch.samples, control_characters=may_have_control_characters(body)):
        return _one_by_one(body, first_position)
    return DecodedBatch(
        node=batch.node,
        batch_id=batch.batch_id.lower(),
        cluster_name=batch.cluster_name,
        host=batch.host,
        entries=batch.samples,
        positions=range(first_position, first_position + len(batch.samples)),
    )


def _one_by_one(body: bytes, first_position: int) -> DecodedBatch:
    envelope, host_fault = decode_envelope(body)
    entries: list[SampleEntry] = []
    positions: list[int] = []
    rejected: list[RejectedEntry] = []
    for position, raw in enumerate(envelope.samples, first_position):
        try:
            entries.append(decode_entry(raw))
            positions.append(position)
        except InvalidInputError as error:
            rejected.append(_rejected(position, error, raw))
    return DecodedBatch(
        node=envelope.node,
        batch_id=envelope.batch_id.lower(),
        cluster_name=envelope.cluster_name,
        host=envelope.host,
        entries=entries,
        positions=positions,
        rejected=rejected,
        host_fault=host_fault,
    )


def _rejected(position: int, error: InvalidInputError, raw: Raw) -> RejectedEntry:
    place = f"samples[{position}]"
    field = place if error.field == WHOLE else f"{place}.{error.field}"
    # PostgreSQL's text holds any character but NUL.
    payload = bytes(raw).decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return RejectedEntry(
        position, field, str(error.details["reason"]), payload[:MAX_PAYLOAD_CHARACTERS]
    )
