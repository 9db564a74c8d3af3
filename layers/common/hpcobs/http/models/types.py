"""The kinds of values in bodies and queries, with their limits.

A limit of a number is that of its column, or lower where sums over nodes must fit as well. Models
are strict: a text is never taken for a number, nor a number for a text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from hpcobs.domain.errors import InvalidInputError
from hpcobs.scheduler.hostlists import MAX_NODES, expanded, node_cpus

MAX_TEXT = 255
INT4_MAX = 2**31 - 1
INT8_MAX = 2**63 - 1
MEMORY_MB_MAX = 2**40
"""An exbibyte: its sum over 20,000 nodes, and its bytes, still fit into 64 bits."""

JOB_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+\[\]-]*$"
CLUSTER_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
NODE_PATTERN = r"^[^\s,\[\]\x00-\x1f\x7f-\x9f]+$"

_RFC3339 = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:[0-5]\d)", re.ASCII | re.IGNORECASE
)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


_COMMON = ConfigDict(
    extra="forbid",
    frozen=True,
    hide_input_in_errors=True,
    defer_build=True,  # a cold start builds the one model that it needs, not all of them
)


class Body(BaseModel):
    """A strict model: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(**_COMMON, strict=True, allow_inf_nan=False)


class Query(BaseModel):
    """A query's parameters, all of which come as text."""

    model_config = _COMMON


def _time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("time_type", "must be a text: an RFC 3339 time with its zone")
    if not _RFC3339.fullmatch(value):
        raise ValueError("must be an RFC 3339 time with its zone, such as 2026-01-31T12:00:00Z")
    try:
        moment = datetime.fromisoformat(value.upper())
    except ValueError:
        raise ValueError("is not a time that exists") from None
    if not _EARLIEST <= moment < _LATEST:
        raise ValueError("must be between 1970 and 2200")
    return moment.astimezone(UTC)


def _time_in_query(value: Any) -> datetime:
    return _time(value.replace(" ", "+") if isinstance(value, str) else value)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
    return text


def _given(text: str | None) -> str | None:
    return _without_nul(text) if text else None


def _nodes(value: Any) -> tuple[Any, ...]:
    if isinstance(value, list):
        return tuple(value)
    if not isinstance(value, str):
        raise PydanticCustomError(
            "node_list_type", "must be a list of node names, or Slurm's compressed text"
        )
    try:
        return expanded(value)
    except InvalidInputError as error:
        raise ValueError(error.details["reason"]) from None


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _node_cpus(value: Any) -> Any:
    return node_cpus(value) if isinstance(value, str) else _as_tuple(value)


def _each_once(nodes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(nodes))


Time = Annotated[datetime, BeforeValidator(_time)]
"""An RFC 3339 time with its zone, as UTC."""

QueryTime = Annotated[datetime, BeforeValidator(_time_in_query)]
"""As Time, where a plus sign that was not escaped has become a space."""

RequiredText = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_without_nul)
]
"""Any text but NUL: names may hold quotes, backslashes and newlines."""

Text = Annotated[str | None, Field(max_length=MAX_TEXT), AfterValidator(_given)]
"""As RequiredText, where an empty text says no more than none at all."""

JobId = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=JOB_ID_PATTERN)]
ClusterName = Annotated[str, Field(min_length=1, max_length=64, pattern=CLUSTER_PATTERN)]
NodeName = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=NODE_PATTERN)]
NodeList = Annotated[
    tuple[NodeName, ...],
    Field(min_length=1, max_length=MAX_NODES),
    BeforeValidator(_nodes),
    AfterValidator(_each_once),
]
"""Node names, each once; Slurm's compressed text is expanded."""

NodeListOrEmpty = Annotated[
    tuple[NodeName, ...],
    Field(max_length=MAX_NODES),
    BeforeValidator(_nodes),
    AfterValidator(_each_once),
]
"""As NodeList; a job that waits has no nodes yet."""

NodeCpus = Annotated[
    tuple[Annotated[int, Field(ge=1, le=999_999_999)], ...],
    Field(max_length=MAX_NODES),
    BeforeValidator(_node_cpus),
]
"""CPUs in the order of the nodes: a list, or Slurm's compressed text."""

Percent = Annotated[float, Field(ge=0, le=100)]
MemoryMb = Annotated[int, Field(ge=0, le=MEMORY_MB_MAX)]
Count = Annotated[int, Field(ge=0, le=INT4_MAX)]
Int4 = Annotated[int, Field(ge=-INT4_MAX - 1, le=INT4_MAX)]
Int8 = Annotated[int, Field(ge=-INT8_MAX - 1, le=INT8_MAX)]
Quantity = Annotated[float, Field(ge=0, le=1e15)]
Path = Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_without_nul)]
Devices = Annotated[tuple[RequiredText, ...], Field(max_length=1024), BeforeValidator(_as_tuple)]
Extra = Annotated[
    dict[RequiredText, Annotated[str, Field(max_length=4096), AfterValidator(_without_nul)]],
    Field(max_length=100),
]
