"""Sample batches: decode one as it was posted, pack it into a queue message, unpack the message.

A good batch is decoded at once. One with faults is decoded sample by sample, so that a bad sample
affects no other. A fault of the whole batch is an InvalidInputError that names the field.

A message is a line of JSON and a batch as it was posted, compressed together (gzip). The line,
``{"v":1,"first":0}``, holds the format's version and the place in its batch of the first sample,
which is not 0 where a batch was too large for one message.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
from isal import igzip
from msgspec.json import Decoder

from hpcobs.domain.errors import InvalidInputError
from hpcobs.wire.faults import explain
from hpcobs.wire.repair import repaired
from hpcobs.wire.samples import Envelope, SampleBatch, SampleEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import Raw

    from hpcobs.wire.faults import Fault
    from hpcobs.wire.samples import HostEntry

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
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
_ENVELOPE = Decoder(Envelope)
_ENTRY = Decoder(SampleEntry)

_WHOLE = "sample"
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\[\]-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


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


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch with its good samples and their places in it, and the bad ones."""

    node: str
    batch_id: str
    cluster_name: str | None
    host: HostEntry | None
    entries: Sequence[SampleEntry]
    positions: Sequence[int]
    rejected: Sequence[RejectedEntry] = ()


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
    if _first_fault(batch.samples, escapes=b"\\" in body):
        return _one_by_one(body, first_position)
    return DecodedBatch(
        node=batch.node,
        batch_id=str(batch.batch_id),
        cluster_name=batch.cluster_name,
        host=batch.host,
        entries=batch.samples,
        positions=range(first_position, first_position + len(batch.samples)),
    )


def decode_posted(body: bytes) -> tuple[DecodedBatch, bytes]:
    """Decode a batch, with its texts repaired if it has faults. Return the body that was decoded.

    Raise InvalidInputError where it is wrong as a whole.
    """
    try:
        batch = decode_batch(body)
        if not batch.rejected:
            return batch, body
    except InvalidInputError:
        mended = repaired(body)
        if mended is None:
            raise
        return decode_batch(mended), mended
    mended = repaired(body) or body
    again = decode_batch(mended)
    # Rejected samples are kept as they were posted, unless the repair helped.
    return (again, mended) if len(again.rejected) < len(batch.rejected) else (batch, body)


def decode_entry(payload: bytes | str | Raw) -> SampleEntry:
    """Decode a single sample.

    Raise InvalidInputError, which names the field, or ``sample`` where all of it is wrong.
    """
    try:
        entry = _ENTRY.decode(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(*explain(error, whole=_WHOLE)) from None
    if fault := _first_fault((entry,), escapes=True):
        raise InvalidInputError(*fault)
    return entry


def decode_envelope(body: bytes) -> Envelope:
    """Decode a batch without its samples' contents. Raise InvalidInputError where it is wrong."""
    try:
        return _ENVELOPE.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(*explain(error, whole="body")) from None


def _one_by_one(body: bytes, first_position: int) -> DecodedBatch:
    envelope = decode_envelope(body)
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
        batch_id=str(envelope.batch_id),
        cluster_name=envelope.cluster_name,
        host=envelope.host,
        entries=entries,
        positions=positions,
        rejected=rejected,
    )


def _first_fault(entries: Iterable[SampleEntry], *, escapes: bool) -> Fault | None:
    """Return the first fault that types and bounds do not cover, or None.

    A control character can stand in a JSON string as an escape only. So GPU ids are checked only
    where the body has an escape.
    """
    # Each id once, and no pattern in the type: a batch has many samples of few jobs.
    if not all(map(_JOB_ID.fullmatch, {entry.job_id for entry in entries})):
        return "job_id", "may hold letters, digits and . _ + [ ] - only"
    if not all(EARLIEST <= entry.timestamp < LATEST for entry in entries):
        return "timestamp", "must lie between the years 2000 and 2200"
    if escapes:
        for entry in entries:
            for number, gpu in enumerate(entry.gpus):
                if _CONTROL.search(gpu.gpu_id):
                    return f"gpus[{number}].gpu_id", "may hold no control characters"
    return None


def _rejected(position: int, error: InvalidInputError, raw: Raw) -> RejectedEntry:
    place = f"samples[{position}]"
    field = place if error.field == _WHOLE else f"{place}.{error.field}"
    # PostgreSQL's text holds any character but NUL.
    payload = bytes(raw).decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return RejectedEntry(
        position, field, str(error.details["reason"]), payload[:MAX_PAYLOAD_CHARACTERS]
    )
