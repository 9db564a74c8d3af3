"""Find the GPUs of each job. A GPU of which no source is certain is left out, and counted.

The sources, the most certain first: the UUIDs that Slurm gives to the Prolog, the device cgroup
(version 1 only), the job's processes on the GPUs, and Slurm's indexes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.node.cgroups import files
from hpcobs_forwarder.node.gpus.claims import Claim, claims_of
from hpcobs_forwarder.node.gpus.indexes import by_index, by_minor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs_forwarder.node.gpus.readings import GpuReading
    from hpcobs_forwarder.node.gpus.slurm_order import SlurmGpus
    from hpcobs_forwarder.node.tracking import TrackedJob

    Key = tuple[str, str]
    Used = dict[str, set[Key]]

# Matches in /proc/<pid>/cgroup, where a process's cgroup is a step below the job's folder.
_JOB = re.compile(rb"/(job_\d+|s[0-9A-Za-z]{13})(?:/|$)", re.MULTILINE)

_SHORTEST_PREFIX = 8
"""Of an abbreviated UUID: ``GPU-`` or ``MIG-`` and four digits."""


class NodeGpus(NamedTuple):
    """The node's GPUs in one pass.

    ``is_partial`` is true if some of them could not be read. ``is_complete`` is true if the
    libraries list no other GPU. Both are false where there is no library to read.
    """

    readings: Sequence[GpuReading] = ()
    is_partial: bool = False
    is_complete: bool = False


class Allocation(NamedTuple):
    """A job's GPUs, and what is wrong with those that could not be found."""

    gpus: list[GpuReading]
    unknown: list[str]


def gpus_of_job(node: NodeGpus, job: TrackedJob, used: Used, slurm: SlurmGpus) -> Allocation:
    """Return the job's GPUs among the readings, and the GPUs that cannot be found."""
    claims = claims_of(job.record)
    named, rest, unknown = _named(node, claims)
    if claims and not rest:
        return Allocation(named, unknown)
    taken = {reading.key for reading in named}
    pool = [reading for reading in node.readings if reading.key not in taken]
    users = used.get(job.folder.name, set())
    if not rest:
        allowed, others = _allowed(job, pool)
        return Allocation(allowed + [one for one in others if one.key in users], [])
    found = _Search(node, job, slurm, rest).among(pool, users)
    return Allocation(named + found.gpus, unknown + found.unknown)


class _Search:
    """A search for the GPUs that Slurm gave to a job by index."""

    def __init__(
        self, node: NodeGpus, job: TrackedJob, slurm: SlurmGpus, claims: Sequence[Claim]
    ) -> None:
        self._node = node
        self._job = job
        self._slurm = slurm
        self._claims = claims

    def among(self, pool: Sequence[GpuReading], users: set[Key]) -> Allocation:
        """Return as many GPUs of ``pool`` as Slurm gave, of which ``users`` are in use."""
        count = len(self._claims)
        allowed, others = _allowed(self._job, pool)
        if len(allowed) > count:
            # The site allows more devices than the job's (cgroup_allowed_devices_file.conf).
            allowed, others = [], list(pool)
        working = [reading for reading in others if reading.key in users]
        certain = allowed + working
        if len(certain) == count:
            return Allocation(certain, [])
        indexed, reason = by_index(self._node, self._job.record, self._slurm, self._claims)
        together = _united(certain, indexed)
        if len(together) <= count:
            return self._result(together, reason)
        if len(certain) < count:
            return self._result(certain, "its processes use other GPUs than those of its indexes")
        # The job uses GPUs that are not its own. Its processes are no evidence then.
        together = _united(allowed, indexed)
        return self._result(
            together if len(together) == count else allowed,
            "its processes use more GPUs than it has",
        )

    def _result(self, found: list[GpuReading], reason: str) -> Allocation:
        missing = len(self._claims) - len(found)
        names = ",".join(claim.text for claim in self._claims)
        text = f"{missing} of Slurm's GPUs {names} cannot be matched to a device: {reason}"
        return Allocation(found, [text] * missing)


def _named(
    node: NodeGpus, claims: Sequence[Claim]
) -> tuple[list[GpuReading], list[Claim], list[str]]:
    """Return the GPUs with a name in ``claims``, the claims by index, and the names not found."""
    found: list[GpuReading] = []
    rest: list[Claim] = []
    unknown: list[str] = []
    for claim in claims:
        if claim.uuid is None and claim.minor is None:
            rest.append(claim)
            continue
        matches = (
            by_minor(node.readings, claim.minor)
            if claim.uuid is None
            else _by_uuid(node, claim.uuid)
        )
        if len(matches) == 1:
            found = _united(found, matches)
        else:
            unknown.append(f"Slurm's GPU {claim.text} is not one of those that can be read")
    return found, rest, unknown


def _by_uuid(node: NodeGpus, uuid: str) -> list[GpuReading]:
    wanted = uuid.lower()
    exact = [one for one in node.readings if wanted in map(str.lower, one.names)]
    # A GPU without a reading or a name could have the same beginning.
    is_certain = not node.is_partial and all(one.names for one in node.readings)
    if exact or not is_certain or len(wanted) < _SHORTEST_PREFIX:
        return exact
    return [
        one for one in node.readings if any(name.lower().startswith(wanted) for name in one.names)
    ]


def _allowed(
    job: TrackedJob, pool: Sequence[GpuReading]
) -> tuple[list[GpuReading], list[GpuReading]]:
    """Return the GPUs that the device cgroup allows, and those of which it shows nothing."""
    minors = _minors(job)
    if minors is None:
        return [], list(pool)
    # The device cgroup names NVIDIA's whole GPUs. For a MIG device it names the GPU too.
    named = [one for one in pool if one.gpu_vendor == "nvidia" and one.minor is not None]
    whole = [one for one in named if not one.is_mig]
    others = [one for one in pool if one not in whole and (one not in named or one.minor in minors)]
    return [one for one in whole if one.minor in minors], others


def _minors(job: TrackedJob) -> frozenset[int] | None:
    try:
        return job.layout.gpu_minors(job.folder)
    except (OSError, ValueError):
        return None


def _united(first: Iterable[GpuReading], second: Iterable[GpuReading]) -> list[GpuReading]:
    return list({reading.key: reading for reading in (*first, *second)}.values())


def used_by_processes(readings: Sequence[GpuReading], proc: str) -> Used:
    """Return the keys of the GPUs that each job's processes use, by the name of its folder."""
    used: Used = {}
    for reading in readings:
        for process in reading.processes:
            name = _job_of(process, proc)
            if name is not None:
                used.setdefault(name, set()).add(reading.key)
    return used


def _job_of(process: int, proc: str) -> str | None:
    try:
        match = _JOB.search(files.read(f"{proc}/{process}/cgroup"))
    except OSError:
        return None  # the process has just ended
    return match[1].decode() if match else None
