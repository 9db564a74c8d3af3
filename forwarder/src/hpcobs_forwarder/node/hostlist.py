"""Expand Slurm's compressed lists: ``n[01-04,7],m1`` and ``4(x2),2``.

``scontrol show hostnames`` does the same, but would start a process for each job record.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMA_OUTSIDE = re.compile(r",(?![^\[]*\])")
_BRACKET = re.compile(r"\[([^\]\[]*)\]")
_RANGE = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18}))?")
_TIMES = re.compile(r"([0-9]{1,18})(?:\(x([0-9]{1,18})\))?")
_MOST_NODES = 1 << 20
"""More nodes than Slurm has (MAX_SLURM_NODES is 65,536)."""


def expand(text: str, at_most: int = _MOST_NODES) -> list[str]:
    """Return the names in ``text``, in Slurm's order.

    Raise ValueError for a wrong range, and for more than ``at_most`` names.
    """
    names = list(itertools.islice(_hosts(text), at_most + 1))
    if len(names) > at_most:
        raise ValueError(f"{text[:80]} has more than {at_most} names")
    return names


def _hosts(text: str) -> Iterator[str]:
    """Yield the names one by one: a damaged list may have billions."""
    for part in filter(None, _COMMA_OUTSIDE.split(text)):
        # Odd pieces stood in brackets. The last bracket changes fastest: a[1-2]b[1-2] begins with
        # a1b1, a1b2.
        pieces = _BRACKET.split(part)
        choices = (_numbers(one) if odd % 2 else (one,) for odd, one in enumerate(pieces))
        yield from _joined(list(choices))


def _joined(choices: list[tuple[str, ...] | _Ranges]) -> Iterator[str]:
    if not choices:
        yield ""
        return
    for first in choices[0]:
        for rest in _joined(choices[1:]):
            yield first + rest


class _Ranges:
    """The numbers in one bracket, which can be read several times."""

    def __init__(self, ranges: list[tuple[str, str]]) -> None:
        self._ranges = ranges

    def __iter__(self) -> Iterator[str]:
        for first, last in self._ranges:
            # Slurm keeps leading zeros: n[08-10] is n08, n09, n10.
            for number in range(int(first), int(last) + 1):
                yield str(number).zfill(len(first))


def _numbers(ranges: str) -> _Ranges:
    found: list[tuple[str, str]] = []
    for part in ranges.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"[{ranges}] is not a list of numbers")
        found.append((match[1], match[2] or match[1]))
    return _Ranges(found)


def cpus_per_node(text: str) -> list[int]:
    """Return the CPUs of each node: ``4(x2),2`` is 4, 4, 2. Raise ValueError for other text."""
    return [cpus for cpus, times in _groups(text) for _ in range(times)]


def _groups(text: str) -> list[tuple[int, int]]:
    """Return each count with the number of nodes that have it."""
    groups: list[tuple[int, int]] = []
    for part in text.split(","):
        match = _TIMES.fullmatch(part)
        if match is None:
            raise ValueError(text)
        groups.append((int(match[1]), int(match[2] or 1)))
    return groups


def cpus_on_node(per_node: str, node_list: str, node: str) -> int | None:
    """Return the CPUs that a job has on ``node``, or None if the texts do not show it."""
    try:
        groups = _groups(per_node)
        # The same on all nodes: no need for the list.
        if len({cpus for cpus, _ in groups}) == 1:
            return groups[0][0] or None
        return _of_place(groups, node_list, node) or None
    except ValueError:
        return None


def _of_place(groups: list[tuple[int, int]], node_list: str, node: str) -> int:
    """Return the CPUs at the place of ``node``. Raise ValueError if the lists do not match."""
    nodes = sum(times for _, times in groups)
    # One more name than there are counts: then the lists are not of the same nodes.
    hosts = list(itertools.islice(_hosts(node_list), nodes + 1)) if nodes <= _MOST_NODES else []
    if len(hosts) != nodes or hosts.count(node) != 1:
        raise ValueError(f"{node} is not one of {nodes} nodes in {node_list}")
    place = hosts.index(node)
    for cpus, times in groups:
        if place < times:
            return cpus
        place -= times
    raise ValueError(node_list)
