"""Slurm's compressed lists: ``n[01-04,7],m1``, ``4(x2),2``, and the kernel's ``0-3,8``."""

from __future__ import annotations

import re

_PART = re.compile(r"([^,\[]*)(?:\[([^\]]*)\])?([^,\[]*)")
_TIMES = re.compile(r"(\d+)(?:\(x(\d+)\))?")


def expand(text: str) -> list[str]:
    """The host names in ``text``, in Slurm's order. One bracket per name is understood."""
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
        numbers += [
            str(number).zfill(len(first)) for number in range(int(first), int(last or first) + 1)
        ]
    return numbers


def cpus_per_node(text: str) -> list[int]:
    """``SLURM_JOB_CPUS_PER_NODE`` as a number for each node: ``4(x2),2`` is 4, 4, 2."""
    counts: list[int] = []
    for part in text.split(","):
        match = _TIMES.fullmatch(part)
        if match is None:
            raise ValueError(text)
        counts += [int(match[1])] * int(match[2] or 1)
    return counts


def cpus_on_node(per_node: str, node_list: str, node: str) -> int | None:
    """The CPUs that a job has on ``node``; None if the texts do not tell."""
    try:
        counts = cpus_per_node(per_node)
        if len(set(counts)) == 1:
            return counts[0]
        return counts[expand(node_list).index(node)]
    except (ValueError, IndexError):
        return None


def count_ids(text: bytes) -> int:
    """How many numbers are in a kernel list such as ``cpuset.cpus``: ``0-3,8`` is 5."""
    count = 0
    for part in text.strip().split(b","):
        if part:
            first, _, last = part.partition(b"-")
            count += int(last or first) - int(first) + 1
    return count
