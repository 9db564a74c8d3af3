"""Reading a sample batch: all at once when it is good, sample by sample when it is not.

One bad sample costs nothing but itself. What is wrong with the batch as a whole is an
InvalidInputError that names the field.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.json import Decoder

from hpcobs.domain.errors import InvalidInputError
from hpcobs.wire.faults import explain
from hpcobs.wire.samples import Envelope, SampleBatch, SampleEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from msgspec import Raw

    from hpcobs.wire.faults import Fault
    from hpcobs.wire.samples import HostEntry

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
MAX_PAYLOAD_CHARACTERS = 65_536

_BATCH = Decoder(SampleBatch)
_ENVELOPE = Decoder(Envelope)
_ENTRY = Decoder(SampleEntry)

_WHOLE = "sample"
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+\[\]-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Refused:
    """A bad sample: its place in the batch, the field and why, and the JSON as it came."""

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
    refused: Sequence[Refused] = ()


def decode_batch(body: bytes, *, first_position: int = 0) -> DecodedBatch:
    """The batch in ``body``; InvalidInputError where it is wrong as a whole.

    ``first_position`` is the place of the first sample, where ``body`` is a part of a larger batch.
    """
    try:
        batch = _BATCH.decode(body)
    except (ValueError, RecursionError):
        return _one_by_one(body, first_position)
    if _fault_of_all(batch.samples, escapes=b"\\" in body):
        return _one_by_one(body, first_position)
    return DecodedBatch(
        node=batch.node,
        batch_id=str(batch.batch_id),
        cluster_name=batch.cluster_name,
        host=batch.host,
        entries=batch.samples,
        positions=range(first_position, first_position + len(batch.samples)),
    )


def decode_entry(payload: bytes | str | Raw) -> SampleEntry:
    """One sample on its own; InvalidInputError names its field, or ``sample`` for all of it."""
    try:
        entry = _ENTRY.decode(payload)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(*explain(error, whole=_WHOLE)) from None
    if fault := _fault_of_all((entry,), escapes=True):
        raise InvalidInputError(*fault)
    return entry


def decode_envelope(body: bytes) -> Envelope:
    """The batch without a look into its samples; InvalidInputError where it is wrong."""
    try:
        return _ENVELOPE.decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(*explain(error, whole="body")) from None


def _one_by_one(body: bytes, first_position: int) -> DecodedBatch:
    envelope = decode_envelope(body)
    entries: list[SampleEntry] = []
    positions: list[int] = []
    refused: list[Refused] = []
    for position, raw in enumerate(envelope.samples, first_position):
        try:
            entries.append(decode_entry(raw))
            positions.append(position)
        except InvalidInputError as error:
            refused.append(_refused(position, error, raw))
    return DecodedBatch(
        node=envelope.node,
        batch_id=str(envelope.batch_id),
        cluster_name=envelope.cluster_name,
        host=envelope.host,
        entries=entries,
        positions=positions,
        refused=refused,
    )


def _fault_of_all(entries: Iterable[SampleEntry], *, escapes: bool) -> Fault | None:
    """What the types and bounds do not say.

    A control character can come into a JSON string as an escape only, so that GPU ids need not be
    looked at in a body without any.
    """
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


def _refused(position: int, error: InvalidInputError, raw: Raw) -> Refused:
    place = f"samples[{position}]"
    field = place if error.field == _WHOLE else f"{place}.{error.field}"
    payload = bytes(raw).decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    return Refused(position, field, str(error.details["reason"]), payload[:MAX_PAYLOAD_CHARACTERS])
