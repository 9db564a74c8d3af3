"""Expand Slurm's compressed lists: nodes, and CPUs per node in the order of the nodes.

Formats: ``n[01-04,7],login1``, see hostlist in scontrol(1), and ``4(x2),2``, see
SLURM_JOB_CPUS_PER_NODE in sbatch(1).

ClusterShell expands only the ranges of a list. It would sort the nodes of a whole list, and the
CPUs would no longer belong to them. It is also slow for huge ranges, so that the size of a list is
checked before it is expanded.
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
_CPUS = re.compile(r"([1-9]\d{0,8})(?:\(x([1-9]\d{0,5})\))?", re.ASCII)


def expanded(text: str) -> tuple[str, ...]:
    """Return the nodes in ``text``, each once, in its order. An empty text has none.

    Raise InvalidInputError if the text is not a list of nodes, or is too long.
    """
    if not text:
        return ()
    if len(text) > MAX_CHARACTERS:
        raise InvalidInputError(FIELD, f"must have {MAX_CHARACTERS} characters at the most")
    if _size(text) > MAX_NODES:
        raise InvalidInputError(FIELD, f"must have {MAX_NODES} nodes at the most")
    return tuple(dict.fromkeys(node for item in _ITEM.findall(text) for node in _nodes_of(item)))


def node_cpus(text: str) -> tuple[int, ...]:
    """Return the CPUs per node, in the order of the nodes. Raise ValueError for another text."""
    counts: list[int] = []
    for item in text.split(","):
        group = _CPUS.fullmatch(item)
        if group is None:
            raise ValueError("is not a list of CPUs per node as Slurm writes it")
        cpus, nodes = group.groups(default="1")
        if len(counts) + int(nodes) > MAX_NODES:
            raise ValueError(f"must have {MAX_NODES} nodes at the most")
        counts += [int(cpus)] * int(nodes)
    return tuple(counts)


def _size(text: str) -> int:
    """Return the number of nodes in ``text``, without making their names."""
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
    """Return the nodes of one item. Of several brackets, the last one's numbers run first."""
    literals = _BRACKET.sub("[]", item).split("[]")
    numbers = [_numbers(bracket[1]) for bracket in _BRACKET.finditer(item)]
    for chosen in product(*numbers):
        yield "".join(chain.from_iterable(zip_longest(literals, chosen, fillvalue="")))


def _numbers(content: str) -> list[str]:
    """Return the numbers in a bracket, in its order."""
    return [number for part in content.split(",") for number in _range(part)]


def _range(part: str) -> Iterable[str]:
    if "-" not in part:
        return (part,)
    # Imported here, so that a cold start whose lists have no range does without it.
    from ClusterShell.RangeSet import RangeSet, RangeSetException

    try:
        numbers: Iterable[str] = RangeSet(_equally_wide(part)).striter()
    except RangeSetException:
        raise _malformed() from None
    return numbers


def _equally_wide(range_: str) -> str:
    """Split a range where its numbers become wider, as ClusterShell requires.

    Slurm pads to the width of the first number and writes ``08-101``. ClusterShell accepts only
    ``08-99,100-101``.
    """
    first, _, last = range_.partition("-")
    parts = []
    while len(first) < len(last):
        parts.append(f"{first}-{'9' * len(first)}")
        first = "1" + "0" * len(first)
    return ",".join([*parts, f"{first}-{last}"])
