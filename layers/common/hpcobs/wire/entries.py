"""Decode what a batch holds, part by part: its samples, its host's readings, and the rest.

Each part is judged alone. Where msgspec finds a fault, the part is read once more by Python's
parser, which repairs its texts and keeps the last of fields with one name, as pydantic's does.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from msgspec import Raw, structs
from msgspec.json import Decoder

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.values import GPU_ID, GPU_ID_RULE, JOB_ID, JOB_ID_RULE, MAX_TEXT, moments
from hpcobs.wire.faults import explain
from hpcobs.wire.repair import NOT_FINITE, loads, not_finite, not_finite_in, repaired
from hpcobs.wire.samples import Envelope, HostEntry, SampleEntry
from hpcobs.wire.splitting import split

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.wire.faults import Fault

WHOLE = "sample"
_SAMPLES = "samples"
_HOST = "host"

_ENTRY = Decoder(SampleEntry)
_ENVELOPE = Decoder(Envelope)
_HOST_ENTRY = Decoder(HostEntry)
_JOB_ID = re.compile(JOB_ID)
_GPU_ID = re.compile(GPU_ID)


def decode_entry(payload: bytes | str | Raw) -> SampleEntry:
    """Decode a single sample.

    Raise InvalidInputError, which names the field, or ``sample`` where all of it is wrong.
    """
    content = payload.encode(errors="replace") if isinstance(payload, str) else bytes(payload)
    try:
        return _entry(content)
    except InvalidInputError:
        mended = repaired(content)
        if mended is None:
            place = not_finite_in(content)
            if place is not None:
                raise InvalidInputError(place or WHOLE, NOT_FINITE) from None
            raise
    return _entry(mended)


def _entry(content: bytes) -> SampleEntry:
    try:
        entry = _ENTRY.decode(content)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(*explain(error, whole=WHOLE)) from None
    if fault := first_fault((entry,), control_characters=True):
        raise InvalidInputError(*fault)
    return entry


def first_fault(entries: Sequence[SampleEntry], *, control_characters: bool) -> Fault | None:
    """Return the first fault that types and bounds do not cover, or None.

    Set the entries' times, of which only the texts are decoded so far. GPU ids are checked only
    where ``control_characters`` can be in them.
    """
    # Each id and time once, and no pattern in the type: a batch has many samples of few jobs.
    if not all(map(_JOB_ID.fullmatch, {entry.job_id for entry in entries})):
        return "job_id", JOB_ID_RULE
    texts: set[Any] = {entry.timestamp for entry in entries}
    try:
        times: dict[Any, datetime] = {**moments(texts)}
    except ValueError as error:
        return "timestamp", str(error)
    for entry in entries:
        entry.timestamp = times[entry.timestamp]
    if control_characters:
        for entry in entries:
            for number, gpu in enumerate(entry.gpus):
                if not _GPU_ID.fullmatch(gpu.gpu_id):
                    return f"gpus[{number}].gpu_id", GPU_ID_RULE
    return None


def job_id_in(payload: str) -> str | None:
    """Return the valid job id in a sample that has other faults, or None."""
    try:
        content = loads(payload.encode(errors="replace"))
    except (ValueError, RecursionError):
        return None
    job_id = content.get("job_id") if isinstance(content, dict) else None
    if isinstance(job_id, str) and len(job_id) <= MAX_TEXT and _JOB_ID.fullmatch(job_id):
        return job_id
    return None


def may_have_control_characters(body: bytes) -> bool:
    """Return whether a text in a body may hold a control character.

    JSON has those below U+0020 as an escape only. U+007F to U+009F may stand as they are, and all
    but the first begin with the byte C2. Each byte is found in a tenth of the time of isascii().
    """
    return b"\\" in body or b"\x7f" in body or b"\xc2" in body


def decode_envelope(body: bytes) -> tuple[Envelope, str | None]:
    """Decode a batch without its samples' contents, and why its host is left out, if it is.

    Raise InvalidInputError where the batch is wrong as a whole.
    """
    try:
        return _ENVELOPE.decode(body), None
    except (ValueError, RecursionError) as error:
        fault = InvalidInputError(*explain(error, whole="body"))
    parts = split(body, (_SAMPLES,))
    if parts is None:
        raise fault
    try:
        rest = loads(parts.rest)
    except (ValueError, RecursionError):
        raise fault from None
    host, host_fault = _host(rest.pop(_HOST, None))
    samples = [Raw(entry) for entry in parts.entries.get(_SAMPLES, ())]
    return structs.replace(_rest(rest), host=host, samples=samples), host_fault


def _rest(rest: dict[str, Any]) -> Envelope:
    place = not_finite(rest)
    if place is not None:
        raise InvalidInputError(place, NOT_FINITE)
    try:
        return _ENVELOPE.decode(json.dumps(rest))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(*explain(error, whole="body")) from None


def _host(value: Any) -> tuple[HostEntry | None, str | None]:
    """Return the host's readings, or why they cannot be used. A bad one must not cost samples."""
    if value is None:
        return None, None
    place = not_finite({_HOST: value})
    if place is not None:
        return None, f"{place}: {NOT_FINITE}"
    try:
        return _HOST_ENTRY.decode(json.dumps(value)), None
    except (ValueError, RecursionError) as error:
        field, why = explain(error, whole="")
        return None, f"{_HOST}.{field}: {why}" if field else f"{_HOST}: {why}"
