"""Map GPUs to jobs: by the Prolog's record, the device cgroup, or the processes on the GPU.

The record is Slurm's own allocation, so it comes first. The device cgroup exists in version 1
only. The processes come last: a job that has not started its work yet has none on its GPU.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups import files

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.node.gpus.readings import GpuReading
    from hpcobs_forwarder.node.tracking import TrackedJob

# Matches in /proc/<pid>/cgroup, where a process's cgroup is a step below the job's folder.
_JOB = re.compile(rb"/(job_\d+|s[0-9A-Za-z]{13})(?:/|$)", re.MULTILINE)


def gpus_of_job(
    readings: Sequence[GpuReading], job: TrackedJob, users: dict[str, set[str]]
) -> list[GpuReading]:
    """Return the job's GPUs among ``readings``. The first source that has an answer decides."""
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
            # MIG devices and AMD GPUs have no minor number that the device cgroup could name.
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
    """Return the ids of the GPUs that each job's processes use, by the name of the job's folder."""
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
