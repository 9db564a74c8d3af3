"""The types of values in bodies and queries, with their limits, and the base of the models.

A number's limit is that of its column, or lower where sums over nodes must fit as well. Models are
strict: a text is never converted to a number, nor a number to a text.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

# hpcobs has no plug-ins for pydantic. The search for them reads the metadata of every installed
# package when the first model is built: 12 ms of a cold start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from hpcobs.domain import values
from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.values import INT4_MAX, INT8_MAX, MAX_TEXT, MEMORY_MB_MAX
from hpcobs.scheduler.hostlists import MAX_NODES, expanded, node_cpus

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FACT = 4096

JOB_ID_PATTERN = f"^{values.JOB_ID}$"
CLUSTER_PATTERN = f"^{values.CLUSTER}$"
NODE_PATTERN = f"^{values.NODE}$"
_INTEGER = re.compile(r"-?[0-9]{1,19}")
_TIME_SCHEMA = {"type": "string", "format": "date-time", "pattern": f"^{values.TIME}$"}


_COMMON = ConfigDict(
    extra="forbid",
    frozen=True,
    hide_input_in_errors=True,  # a log must not repeat what a client sent
    defer_build=True,  # a cold start builds the one model that it needs, not all of them
)


Kind = TypeVar("Kind")


class _Model(BaseModel):
    model_config = _COMMON

    def into(self, kind: Callable[..., Kind], **others: Any) -> Kind:
        """Return an object of the domain, made of the fields of the same names and of ``others``.

        A field that is None is left to the object's own default.
        """
        own = ((name, getattr(self, name)) for name in _shared_names(type(self), kind))
        return kind(**{**{name: value for name, value in own if value is not None}, **others})


class Body(_Model):
    """A strict model: unknown fields are rejected, no value is converted."""

    model_config = ConfigDict(**_COMMON, strict=True, allow_inf_nan=False)


class Query(_Model):
    """The parameters of a query, each of which arrives as text."""

    model_config = _COMMON


# Cached, because a state sync has 1,000 jobs of one model.
@cache
def _shared_names(model: type[_Model], kind: Any) -> tuple[str, ...]:
    """Return the names that a model shares with a dataclass or a named tuple."""
    names = getattr(kind, "_fields", None) or tuple(field.name for field in fields(kind))
    return tuple(name for name in names if name in model.model_fields)


def _time(value: Any) -> datetime:
    if not isinstance(value, str):
        raise PydanticCustomError("time_type", "must be a text: an RFC 3339 time with its zone")
    return values.moment(value)


def _time_in_query(value: Any) -> datetime:
    return _time(value.replace(" ", "+") if isinstance(value, str) else value)


def _integer_in_query(value: Any) -> Any:
    # pydantic also reads " 1", "1_0", "1.0" and digits of other scripts.
    if isinstance(value, str) and not _INTEGER.fullmatch(value):
        raise PydanticCustomError("int_parsing", "must be an integer")
    return value


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain NUL")
    return text


def _text_or_none(text: str | None) -> str | None:
    return _without_nul(text) if text else None


def _reason_or_none(text: str | None) -> str | None:
    # Slurm writes "None" where there is no reason.
    return None if text == "None" else _text_or_none(text)


def _fact(value: Any) -> str:
    text = value if isinstance(value, str) else _json(value)
    if len(text) > MAX_FACT:
        raise ValueError(f"must have {MAX_FACT} characters at the most")
    return _without_nul(text)


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        raise ValueError("must hold finite numbers: JSON has no NaN and no Infinity") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _nodes(value: Any) -> tuple[Any, ...]:
    if isinstance(value, list):
        return tuple(node for item in value for node in _nodes_of_item(item))
    if not isinstance(value, str):
        raise PydanticCustomError(
            "node_list_type", "must be a list of node names, or Slurm's compressed text"
        )
    try:
        return expanded(value)
    except InvalidInputError as error:
        raise ValueError(error.details["reason"]) from None


def _nodes_of_item(item: Any) -> tuple[Any, ...]:
    # A hook without scontrol at hand sends Slurm's compressed text as the only name of a list.
    return _nodes(item) if isinstance(item, str) and "[" in item else (item,)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _node_cpus(value: Any) -> Any:
    return node_cpus(value) if isinstance(value, str) else _as_tuple(value)


def _each_once(nodes: tuple[str, ...]) -> tuple[str, ...]:
    # Not a set: the CPUs per node are in the order of the nodes.
    return tuple(dict.fromkeys(nodes))


Time = Annotated[datetime, BeforeValidator(_time), WithJsonSchema(_TIME_SCHEMA)]
"""An RFC 3339 time with its zone, as UTC. See ``hpcobs.domain.values.moment``."""

QueryTime = Annotated[datetime, BeforeValidator(_time_in_query), WithJsonSchema(_TIME_SCHEMA)]
"""As Time. An unescaped plus sign, which arrives as a space, counts as a plus sign."""

RequiredText = Annotated[
    str, Field(min_length=1, max_length=MAX_TEXT), AfterValidator(_without_nul)
]
"""Any text but NUL, which PostgreSQL cannot store. Quotes, backslashes and newlines are allowed."""

Text = Annotated[str | None, Field(max_length=MAX_TEXT), AfterValidator(_text_or_none)]
"""As RequiredText, but an empty text counts as None."""

Reason = Annotated[str | None, Field(max_length=MAX_TEXT), AfterValidator(_reason_or_none)]
"""As Text, but Slurm's text for no reason counts as None as well."""

JobId = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=JOB_ID_PATTERN)]
ClusterName = Annotated[
    str, Field(min_length=1, max_length=values.MAX_CLUSTER, pattern=CLUSTER_PATTERN)
]
NodeName = Annotated[str, Field(min_length=1, max_length=MAX_TEXT, pattern=NODE_PATTERN)]
NodeList = Annotated[
    tuple[NodeName, ...],
    Field(min_length=1, max_length=MAX_NODES),
    BeforeValidator(_nodes),
    AfterValidator(_each_once),
]
"""Node names, each once. Slurm's compressed text is expanded."""

NodeListOrEmpty = Annotated[
    tuple[NodeName, ...],
    Field(max_length=MAX_NODES),
    BeforeValidator(_nodes),
    AfterValidator(_each_once),
]
"""As NodeList, but a pending job has no nodes yet."""

NodeCpus = Annotated[
    tuple[Annotated[int, Field(ge=1, le=999_999_999)], ...],
    Field(max_length=MAX_NODES),
    BeforeValidator(_node_cpus),
]
"""CPUs in the order of the nodes: a list, or Slurm's compressed text."""

InDigits = BeforeValidator(_integer_in_query)
"""The rule of an integer in a query, which is a text: digits, and a minus sign if need be."""

Percent = Annotated[float, Field(ge=0, le=values.PERCENT_MAX)]
MemoryMb = Annotated[int, Field(ge=0, le=MEMORY_MB_MAX)]
Count = Annotated[int, Field(ge=0, le=INT4_MAX)]
Int4 = Annotated[int, Field(ge=-INT4_MAX - 1, le=INT4_MAX)]
Int8 = Annotated[int, Field(ge=-INT8_MAX - 1, le=INT8_MAX)]
Quantity = Annotated[float, Field(ge=0, le=values.QUANTITY_MAX)]
Path = Annotated[str | None, Field(max_length=4096), AfterValidator(_text_or_none)]
Devices = Annotated[tuple[RequiredText, ...], Field(max_length=1024), BeforeValidator(_as_tuple)]
Extra = Annotated[
    dict[RequiredText, Annotated[Any, AfterValidator(_fact)]],
    Field(max_length=100),
]
"""Facts for which there is no field. A value that is not a text becomes its JSON."""
