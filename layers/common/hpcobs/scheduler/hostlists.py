"""Slurm's compressed lists of nodes, such as ``n[01-04,7],login1``; see scontrol(1), hostlist.

ClusterShell expands their ranges, and no more than these: it would sort the nodes, but Slurm tells
the CPUs of a job's nodes in the order in which it lists them. It also takes its time over huge
ranges, so that only sensible sizes get there.
"""

from __future__ import annotations

import re
from itertools import chain, product, zip_longest
from math import prod
from typing import TYPE_CHECKING

from hpcobs.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

FIELD = "node_list"
MAX_NODES = 20_000
MAX_CHARACTERS = 200_000

_RANGE = r"\d{1,18}(?:-\d{1,18})?"
_BRACKET = re.compile(rf"\[({_RANGE}(?:,{_RANGE})*)\]")
_NAME = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._-]|{_BRACKET.pattern}(?!\[))*", re.ASCII)
_ITEM = re.compile(r"(?:[^\[\],]|\[[^\[\]]*\])+")


def expanded(text: str) -> tuple[str, ...]:
    """The nodes in ``text``, each once, in its order; none for an empty text.

    InvalidInputError for what is no list.
    """
    if not text:
        return ()
    if len(text) > MAX_CHARACTERS:
        raise InvalidInputError(FIELD, f"must have {MAX_CHARACTERS} characters at the most")
    if _size(text) > MAX_NODES:
        raise InvalidInputError(FIELD, f"must have {MAX_NODES} nodes at the most")
    return tuple(dict.fromkeys(node for item in _ITEM.findall(text) for node in _nodes_of(item)))


def _size(text: str) -> int:
    """How many nodes ``text`` names, counted without naming them."""
    items = _ITEM.findall(text)
    if ",".join(items) != text:
        raise _malformed()
    return sum(map(_size_of_item, items))


def _size_of_item(item: str) -> int:
    if not _NAME.fullmatch(item):
        raise _malformed()
    return prod(_size_of_bracket(content) for content in _BRACKET.findall(item))


def _malformed() -> InvalidInputError:
    return InvalidInputError(FIELD, "is not a list of nodes as Slurm writes it")


def _size_of_bracket(content: str) -> int:
    return sum(_size_of_range(*item.partition("-")) for item in content.split(","))


def _size_of_range(first: str, _: str, last: str) -> int:
    return abs(int(last) - int(first)) + 1 if last else 1


def _nodes_of(item: str) -> Iterable[str]:
    """The nodes of one name; where it has several brackets, the last one's numbers run first."""
    literals = _BRACKET.sub("[]", item).split("[]")
    numbers = [_numbers(bracket[1]) for bracket in _BRACKET.finditer(item)]
    for chosen in product(*numbers):
        yield "".join(chain.from_iterable(zip_longest(literals, chosen, fillvalue="")))


def _numbers(content: str) -> list[str]:
    """The numbers in a bracket, in its order."""
    return [number for part in content.split(",") for number in _range(part)]


def _range(part: str) -> Iterable[str]:
    if "-" not in part:
        return (part,)
    from ClusterShell.RangeSet import RangeSet, RangeSetException

    try:
        numbers: Iterable[str] = RangeSet(_equally_wide(part)).striter()
    except RangeSetException:
        raise _malformed() from None
    return numbers


def _equally_wide(range_: str) -> str:
    """Slurm pads to the width of the first number, ``08-101``; ClusterShell: ``08-99,100-101``."""
    first, _, last = range_.partition("-")
    parts = []
    while len(first) < len(last):
        parts.append(f"{first}-{'9' * len(first)}")
        first = "1" + "0" * len(first)
    return ",".join([*parts, f"{first}-{last}"])
