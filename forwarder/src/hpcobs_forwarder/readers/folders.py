"""Which folders belong to Slurm, and which of those to jobs."""

from __future__ import annotations

import os
import re

from hpcobs_forwarder.readers.layout import JobFolder

_JOB = re.compile(r"job_\d+|s[0-9A-Za-z]{13}")
"""``job_<id>``, or the job's SLUID as Slurm 26.05 names it."""


def jobs_in(path: str) -> list[JobFolder]:
    """The job folders directly in the folder at ``path``."""
    try:
        with os.scandir(path) as entries:
            return [
                JobFolder(entry.name, entry.path, entry.inode())
                for entry in entries
                if _JOB.fullmatch(entry.name)
            ]
    except OSError:
        return []


def job_id_in(name: str) -> str | None:
    """The job id in a folder's name; None for an SLUID."""
    return name[4:] if name.startswith("job_") else None


def of_node(found: dict[str, list[str]], node: str) -> list[str]:
    """The paths of ``node`` among ``found``, which holds them by the node in their name.

    The name is empty where the folder names no node. Where some folders name this node, those of
    other nodes belong to another slurmd on the same host. Where none does, the host is called one
    thing and the node another: all are taken.
    """
    if node in found:
        return found[node] + found.get("", [])
    return [path for paths in found.values() for path in paths]


def processes_below(path: str) -> list[int]:
    """The ids of all processes in the cgroup at ``path`` and in those below it."""
    processes: list[int] = []
    for folder, _, names in os.walk(path):
        if "cgroup.procs" in names:
            processes += _processes_in(folder)
    return processes


def _processes_in(folder: str) -> list[int]:
    try:
        with open(f"{folder}/cgroup.procs", encoding="ascii") as lines:
            return [int(line) for line in lines]
    except OSError:
        return []
