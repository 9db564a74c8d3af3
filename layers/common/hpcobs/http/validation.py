"""Validation of bodies and queries by their models. An error lists each bad field."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from hpcobs.domain import values
from hpcobs.http.errors import InvalidFieldsError, InvalidRequestError
from hpcobs.wire.repair import NOT_FINITE, has_nul, not_finite_in, repaired
from hpcobs.wire.splitting import split

if TYPE_CHECKING:
    from collections.abc import Collection

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)

# A hostile body with thousands of bad fields gets a short response.
MAX_ERRORS = 20
MAX_FIELD_CHARACTERS = 100
MAX_QUERY_FIELDS = 50


class _NotJsonError(InvalidRequestError):
    """The body is not JSON. Other faults of a body are no reason to read it in another way."""


def parse_body(model: type[Model], body: bytes) -> Model:
    """Return the body as ``model``. Raise InvalidRequestError or InvalidFieldsError."""
    return validated(model, json_in(body))


def json_in(body: bytes) -> Any:
    """Parse a body's JSON. Raise InvalidRequestError if it is none.

    NaN and Infinity are not JSON (RFC 8259), nor are lone surrogates. Where one of the former or a
    number of thousands of digits is the fault, the error names its field.
    """
    if not body:
        raise InvalidRequestError("a JSON body is needed")
    try:
        # Keys repeat in a list of jobs, values hardly do: caching those costs more than it saves.
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        place = not_finite_in(body)
        if place is not None:
            raise _not_finite(place) from None
        raise _NotJsonError(f"the body is not JSON: {error}") from None


def _not_finite(place: str) -> _NotJsonError:
    field = place[:MAX_FIELD_CHARACTERS]
    errors = [{"field": field, "message": NOT_FINITE}]
    return _NotJsonError(f"{field or 'body'}: {NOT_FINITE}", errors=errors)


def parse_slurm_body(model: type[Model], body: bytes, *, lists: Collection[str] = ()) -> Model:
    """Return a body with Slurm's texts as ``model``. Bytes that are not UTF-8 become U+FFFD.

    An entry of one of ``lists`` that is not JSON becomes a DamagedEntry. It costs no other entry.
    Raise InvalidRequestError or InvalidFieldsError.
    """
    try:
        return validated(model, _slurm_json(body))
    except _NotJsonError:
        parts = split(body, lists) if lists else None
        if parts is None:
            raise
    found = _slurm_json(parts.rest)
    for name, entries in parts.entries.items():
        found[name] = [_entry(entry) for entry in entries]
    return validated(model, found)


def _slurm_json(body: bytes) -> Any:
    mended = repaired(body) if has_nul(body) else None
    try:
        return json_in(mended or body)
    except _NotJsonError:
        mended = repaired(body)
        if mended is None:
            raise
        return json_in(mended)


@dataclass(frozen=True, slots=True)
class DamagedEntry:
    """An entry of a list that is not JSON: the reason, and its text as it was posted."""

    error: InvalidRequestError
    text: str


def _entry(entry: bytes) -> Any:
    try:
        return _slurm_json(entry)
    except InvalidRequestError as error:
        return DamagedEntry(error, entry.decode(errors="replace"))


def parse_query(model: type[Model], query: str) -> Model:
    """Return the query as ``model``. Raise InvalidRequestError or InvalidFieldsError.

    Each parameter may be given once, and unknown ones are rejected.
    """
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError:
        raise InvalidRequestError("the query has too many parameters") from None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise InvalidRequestError("a query parameter is given more than once")
    return validated(model, values)


def validated(model: type[Model], value: object) -> Model:
    """Return ``value`` as ``model``.

    Raise InvalidRequestError if a value has the wrong type, InvalidFieldsError for other faults.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _rejection(error) from None


def _rejection(error: ValidationError) -> InvalidRequestError | InvalidFieldsError:
    # The input is left out: a response must not repeat a client's secrets or megabytes.
    found = error.errors(include_url=False, include_context=False, include_input=False)
    listed = [{"field": _field(item), "message": _message(item)} for item in found[:MAX_ERRORS]]
    message = "; ".join(f"{item['field'] or 'body'}: {item['message']}" for item in listed[:3])
    wrong_type = any(_is_type_error(item) for item in found)
    kind = InvalidRequestError if wrong_type else InvalidFieldsError
    return kind(message, errors=listed)


def _is_type_error(item: ErrorDetails) -> bool:
    return item["type"].endswith("_type")


def _field(item: ErrorDetails) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in item["loc"])
    return "".join(parts).lstrip(".")[:MAX_FIELD_CHARACTERS]


_PHRASES = {
    "Field required": "is required",
    "Extra inputs are not permitted": "is not a known field",
    "Input should be a valid dictionary": "must be an object",
    "Input should be a valid list": "must be an array",
    "Input should be a valid tuple": "must be an array",
    "Input should be a valid string": "must be a text",
    "Input should be a valid integer": "must be an integer",
    "Input should be a valid number": "must be a number",
    "Input should be a finite number": NOT_FINITE,
    **{
        f"String should match pattern '^{pattern}$'": rule
        for pattern, rule in (
            (values.JOB_ID, values.JOB_ID_RULE),
            (values.CLUSTER, values.CLUSTER_RULE),
            (values.NODE, values.NODE_RULE),
        )
    },
}


def _message(item: ErrorDetails) -> str:
    """Return pydantic's message, reworded to continue a sentence that begins with the field."""
    message = re.sub(r"^Value error, | or instance of \w+$", "", item["msg"])
    message = _PHRASES.get(message, message)
    return re.sub(r"^(Input|String|Dictionary|List|Tuple|Value) should", "must", message)
