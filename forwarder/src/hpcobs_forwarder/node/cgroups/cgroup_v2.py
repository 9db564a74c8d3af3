"""Read jobs in the unified hierarchy: ``<slice>/slurmstepd.scope/job_<id>``.

A job's files include all its steps, because the kernel accounts hierarchically. Formats:
Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups import files
from hpcobs_forwarder.node.cgroups.files import jobs_in, of_nodes
from hpcobs_forwarder.node.cgroups.layout import Details, JobFolder, Reading
from hpcobs_forwarder.node.cgroups.memory import checked_size, in_use_v2
from hpcobs_forwarder.node.cgroups.optional import OptionalValues
from hpcobs_forwarder.node.cgroups.processes import processes_below

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_SCOPE = "slurmstepd.scope"

# RHEL 9's kernel has the *.pressure files even if it was not booted with psi=1. Reading one then
# fails with EOPNOTSUPP.
_NOT_THERE = frozenset({errno.ENOENT, errno.EOPNOTSUPP})


class CgroupV2:
    """The jobs of ``node`` below the unified hierarchy mounted at ``mount``."""

    name = "cgroup_v2"

    def __init__(self, mount: str, node: str) -> None:
        """Read nothing yet."""
        self._mount = mount
        self._node = node
        self._scopes: list[str] = []
        self._absent: set[str] = set()

    def search(self, nodes: Collection[str] = ()) -> bool:
        """Search for Slurm's scopes again. Return whether there are any."""
        found: dict[str, list[str]] = {}
        for slice_ in files.names(self._mount):
            if not slice_.endswith(".slice"):
                continue
            for scope in files.names(f"{self._mount}/{slice_}"):
                # With several slurmd on a host each has its own: <node>_slurmstepd.scope.
                if scope.endswith(_SCOPE):
                    node = scope[: -len(_SCOPE) - 1]
                    found.setdefault(node, []).append(f"{self._mount}/{slice_}/{scope}")
        self._scopes = of_nodes(found, {self._node, *nodes})
        self._absent.clear()  # a controller may have been enabled since
        return bool(self._scopes)

    def tops(self) -> Sequence[str]:
        """Return the folders that hold the jobs."""
        return self._scopes

    def folders(self) -> list[JobFolder]:
        """Return the folders of the running jobs."""
        return [folder for scope in self._scopes for folder in jobs_in(scope)]

    def read(self, folder: JobFolder) -> Reading:
        """Read a job's use.

        Raise OSError if the job has gone or its memory is not accounted, ValueError if a file is
        malformed.
        """
        path = folder.path
        cpu = files.read(f"{path}/cpu.stat")
        usage = files.value(cpu, b"usage_usec")
        if usage is None:
            raise ValueError(f"{path}/cpu.stat has no usage_usec")
        memory = in_use_v2(
            files.read_int(f"{path}/memory.current"), files.read(f"{path}/memory.stat")
        )
        optional = OptionalValues(path)
        throttled = optional.read(lambda: files.value(cpu, b"throttled_usec"))
        io = optional.read(lambda: self._optional(path, "io.stat"))
        return Reading(
            cpu_seconds=usage / 1e6,
            memory_bytes=memory,
            memory_peak_bytes=optional.read(lambda: self._peak(path)),
            oom_kills=optional.read(lambda: self._oom_kills(path)),
            throttled_seconds=None if throttled is None else throttled / 1e6,
            io_read_bytes=optional.read(lambda: _summed(io, b"rbytes=")),
            io_write_bytes=optional.read(lambda: _summed(io, b"wbytes=")),
            unread=optional.errors,
        )

    def _peak(self, path: str) -> int | None:
        peak = self._optional(path, "memory.peak")
        return None if peak is None else checked_size(files.number(peak))

    def _oom_kills(self, path: str) -> int | None:
        events = self._optional(path, "memory.events")
        return None if events is None else files.value(events, b"oom_kill")

    def _optional(self, path: str, name: str) -> bytes | None:
        """Read a file that the kernel or the configuration may lack. Return None if it is missing.

        A missing file is tried again only after the next ``search``.
        """
        if name in self._absent:
            return None
        try:
            return files.read(f"{path}/{name}")
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            # The file may be missing because the whole job has gone: then this raises, and the file
            # is still read for the other jobs.
            os.stat(path)
            self._absent.add(name)
            return None

    def cpu_limit(self, folder: JobFolder) -> float | None:
        """Return the smaller of the CPU set and the quota, or None without either."""
        limits: list[float] = []
        cpus = self._optional(folder.path, "cpuset.cpus.effective")
        if cpus and cpus.strip():
            limits.append(files.count_ids(cpus))
        quota, _, period = (self._optional(folder.path, "cpu.max") or b"max").partition(b" ")
        if quota.strip() != b"max":
            limits.append(files.number(quota) / files.number(period))
        return min(limits, default=None)

    def processes(self, folder: JobFolder) -> list[int]:
        """Return the ids of the job's processes."""
        return processes_below(folder.path)

    def gpu_minors(self, folder: JobFolder) -> frozenset[int] | None:
        """Return None: with version 2 Slurm limits devices by eBPF, which cannot be read back."""
        return None

    def details(self, folder: JobFolder) -> Details:
        """Read more about a job, for people. Raise OSError if the job has gone."""
        path = folder.path
        optional = OptionalValues(path)
        stat = optional.read(lambda: self._optional(path, "memory.stat")) or b""
        return Details(
            anonymous_bytes=optional.read(lambda: files.value(stat, b"anon")),
            file_bytes=optional.read(lambda: files.value(stat, b"file")),
            limit_bytes=optional.read(lambda: self._limit(path)),
            cpu_pressure_percent=optional.read(lambda: self._pressure(path, "cpu")),
            memory_pressure_percent=optional.read(lambda: self._pressure(path, "memory")),
            io_pressure_percent=optional.read(lambda: self._pressure(path, "io")),
        )

    def _limit(self, path: str) -> int | None:
        limit = (self._optional(path, "memory.max") or b"max").strip()
        return None if limit == b"max" else files.number(limit)

    def _pressure(self, path: str, resource: str) -> float | None:
        return _percent_waiting(self._optional(path, f"{resource}.pressure"))


def _summed(io: bytes | None, key: bytes) -> int | None:
    """Return the sum of ``key`` over the devices of ``io.stat``. Raise ValueError."""
    if io is None:
        return None
    # A device without I/O has no numbers. A damaged one costs the sum, which would fall without it.
    words = [word for word in io.split() if word.startswith(key)]
    return files.checked(sum(files.number(word[len(key) :]) for word in words))


def _percent_waiting(data: bytes | None) -> float | None:
    """Return the percentage of the last minute in which some task waited."""
    if data is None:
        return None
    # The first line is "some avg10=… avg60=…", the second one "full …": the first match is "some".
    for word in data.split():
        if word.startswith(b"avg60="):
            return float(word[6:])
    return None
