"""Expand the lists of names in Slurm's files: ``n[01-04,7]-[a,b]``, ``/dev/nvidia[0-3]``."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_NAMES = 65_536
"""Slurm's own limit for one range (MAX_RANGE in hostlist.c)."""

_BRACKET = re.compile(r"\[([^\]\[]*)\]")
_COMMA_OUTSIDE = re.compile(r",(?![^\[]*\])")
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})")


def names(text: str) -> Iterator[str]:
    """Yield the names in a list, in Slurm's order. A range that is wrong stays as it is."""
    parts = (part for part in _COMMA_OUTSIDE.split(text) if part)
    return itertools.islice(itertools.chain.from_iterable(map(_expanded, parts)), _MOST_NAMES)


def _expanded(part: str) -> Iterator[str]:
    # Odd pieces are what stood in brackets.
    pieces = _BRACKET.split(part)
    choices = [list(_choices(one)) if odd % 2 else [one] for odd, one in enumerate(pieces)]
    return map("".join, itertools.product(*choices))


def _choices(ranges: str) -> Iterator[str]:
    return itertools.islice(itertools.chain.from_iterable(map(_one, ranges.split(","))), 65_536)


def _one(text: str) -> Iterator[str]:
    match = _RANGE.fullmatch(text)
    if match is None:
        return iter((text,))
    first, last = match.groups()
    # Slurm keeps leading zeros: n[08-10] is n08, n09, n10.
    return (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
