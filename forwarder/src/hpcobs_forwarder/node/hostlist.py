"""Expand Slurm's compressed lists: ``n[01-04,7],m1`` and ``4(x2),2``.

``scontrol show hostnames`` does the same, but would start a process for each job record.
"""

from __future__ import annotations

import re

_PART = re.compile(r"([^,\[]*)(?:\[([^\]]*)\])?([^,\[]*)")
_TIMES = re.compile(r"(\d+)(?:\(x(\d+)\))?")


def expand(text: str) -> list[str]:
    """Return the host names in ``text``, in Slurm's order. A name may have one bracket."""
    hosts: list[str] = []
    for match in _PART.finditer(text):
        prefix, ranges, suffix = match.groups()
        if ranges is None:
            hosts += [prefix] if prefix else []
        else:
            hosts += [f"{prefix}{number}{suffix}" for number in _numbers(ranges)]
    return hosts


def _numbers(ranges: str) -> list[str]:
    numbers: list[str] = []
    for part in ranges.split(","):
        first, _, last = part.partition("-")
        # Slurm keeps leading zeros: n[08-10] is n08, n09, n10.
        numbers += [
            str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)
        ]
    return numbers


def cpus_per_node(text: str) -> list[int]:
    """Return the CPUs of each node: ``4(x2),2`` is 4, 4, 2. Raise ValueError for other text."""
    counts: list[int] = []
    for part in text.split(","):
        match = _TIMES.fullmatch(part)
        if match is None:
            raise ValueError(text)
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def cpus_on_node(per_node: str, node_list: str, node: str) -> int | None:
    """Return the CPUs that a job has on ``node``, or None if the texts do not show it."""
    try:
        counts = cpus_per_node(per_node)
        # The same on all nodes: no need for the list, whose names this parser may not support.
        if len(set(counts)) == 1:
            return counts[0]
        return counts[expand(node_list).index(node)]
    except (ValueError, IndexError):
        return None
