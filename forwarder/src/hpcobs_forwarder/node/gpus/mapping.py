"""Which GPU is which job's: by Slurm's word, by the device cgroup, by the processes on it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.node.gpus.readings import GpuReading
    from hpcobs_forwarder.node.tracking import TrackedJob

_JOB = re.compile(rb"/(job_\d+|s[0-9A-Za-z]{13})(?:/|$)", re.MULTILINE)


def gpus_of_job(
    readings: Sequence[GpuReading], job: TrackedJob, users: dict[str, set[str]]
) -> list[GpuReading]:
    """The job's GPUs among ``readings``; the first of the three that knows decides."""
    if not readings:
        return []
    if job.record is not None and job.record.gpus:
        named = frozenset(job.record.gpus)
        return [reading for reading in readings if reading.names & named]
    minors = _minors(job)
    used = users.get(job.folder.name, set())
    return [
        reading
        for reading in readings
        if (
            reading.gpu_id in used
            if minors is None or reading.minor is None
            else reading.minor in minors
        )
    ]


def _minors(job: TrackedJob) -> frozenset[int] | None:
    try:
        return job.layout.gpu_minors(job.folder)
    except (OSError, ValueError):
        return None


def used_by_processes(readings: Sequence[GpuReading], proc: str) -> dict[str, set[str]]:
    """The ids of the GPUs that each job folder's processes use, by the folder's name."""
    used: dict[str, set[str]] = {}
    for reading in readings:
        for process in reading.processes:
            name = _job_of(process, proc)
            if name is not None:
                used.setdefault(name, set()).add(reading.gpu_id)
    return used


def _job_of(process: int, proc: str) -> str | None:
    try:
        match = _JOB.search(files.read(f"{proc}/{process}/cgroup"))
    except OSError:
        return None  # the process has just ended
    return match[1].decode() if match else None
