"""Decode slurmrestd's JSON. A bad byte or value costs only the text or number that it is in.

msgspec decodes what is valid, record by record and only the fields that are read. Python's parser
decodes what msgspec rejects: bytes that are not UTF-8, halves of surrogate pairs, control
characters, ``NaN``, ``Infinity`` and numbers of too many digits.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

LONGEST_INTEGER = 20
"""Digits of the largest number in 64 bits."""

Record = TypeVar("Record", bound=Struct)


class Response(Struct):
    """The parts of a response that are read. Records are decoded one by one later."""

    errors: Any = None
    last_update: Any = UNSET
    jobs: list[Raw] | None = None
    nodes: list[Raw] | None = None


def decode_response(body: bytes) -> Response:
    """Return the response. Raise ValueError if it is no JSON object, or is cut short."""
    try:
        return msgspec.json.decode(body, type=Response)
    except (ValueError, RecursionError):
        found = _object(body)
    return Response(
        errors=found.get("errors"),
        last_update=found.get("last_update", UNSET),
        jobs=_raws(found.get("jobs")),
        nodes=_raws(found.get("nodes")),
    )


def decode_record(raw: Raw, kind: type[Record]) -> Record:
    """Return a record as ``kind``. Raise ValueError if it is no JSON object."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, RecursionError):
        found = _object(bytes(raw))
    return kind(**{name: found.get(name) for name in kind.__struct_fields__})


def _object(body: bytes) -> dict[str, Any]:
    found = _lenient(body)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - as every other fault of the JSON
    return found


def _lenient(body: bytes) -> Any:
    text = body.decode(errors="replace")
    try:
        return json.loads(text, strict=False, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _integer(digits: str) -> int | None:
    # Python refuses to parse more than 4,300 digits, and no column holds more than 64 bits.
    return int(digits) if len(digits) <= LONGEST_INTEGER else None


def _raws(records: Any) -> list[Raw] | None:
    if not isinstance(records, list):
        return None
    return [Raw(json.dumps(record).encode()) for record in records]
