"""Slurm's compressed lists of nodes, such as ``n[01-04,7],login1``; see scontrol(1), hostlist.

ClusterShell expands them. Its own language knows more (groups, set operators, wildcards, steps),
and takes its time over huge ranges, so that only what Slurm writes, in sensible sizes, gets there.
"""

from __future__ import annotations

import re
from math import prod

from hpcobs.domain.errors import InvalidInputError

FIELD = "node_list"
MAX_NODES = 20_000
MAX_CHARACTERS = 200_000

_RANGE = r"\d{1,18}(?:-\d{1,18})?"
_BRACKET = re.compile(rf"\[({_RANGE}(?:,{_RANGE})*)\]")
_NAME = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._-]|{_BRACKET.pattern})*", re.ASCII)
_UNEVEN = re.compile(r"(\d+)-(\d+)")
_ITEM = re.compile(r"(?:[^\[\],]|\[[^\[\]]*\])+")


def expanded(text: str) -> tuple[str, ...]:
    """The nodes in ``text``, each once; none for an empty text. InvalidInputError for no list."""
    if not text:
        return ()
    if len(text) > MAX_CHARACTERS:
        raise InvalidInputError(FIELD, f"must have {MAX_CHARACTERS} characters at the most")
    if _size(text) > MAX_NODES:
        raise InvalidInputError(FIELD, f"must have {MAX_NODES} nodes at the most")
    return _by_clustershell(text)


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


def _evened(text: str) -> str:
    return _BRACKET.sub(lambda bracket: _UNEVEN.sub(_equally_wide, bracket[0]), text)


def _equally_wide(range_: re.Match[str]) -> str:
    """Slurm pads to the width of the first number, ``08-101``; ClusterShell: ``08-99,100-101``."""
    first, last = range_.groups()
    parts = []
    while len(first) < len(last):
        parts.append(f"{first}-{'9' * len(first)}")
        first = "1" + "0" * len(first)
    return ",".join([*parts, f"{first}-{last}"])


def _by_clustershell(text: str) -> tuple[str, ...]:
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException

    try:
        return tuple(NodeSet(_evened(text), resolver=RESOLVER_NOGROUP))
    except NodeSetException:
        raise _malformed() from None
