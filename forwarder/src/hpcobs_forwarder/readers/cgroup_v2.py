"""Jobs in the unified hierarchy: ``<slice>/slurmstepd.scope/job_<id>``.

Every file is the job's own, which the kernel keeps for all its steps together. Formats:
Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.hostlist import count_ids
from hpcobs_forwarder.readers import files
from hpcobs_forwarder.readers.folders import jobs_in, of_node, processes_below
from hpcobs_forwarder.readers.layout import Details, JobFolder, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCOPE = "slurmstepd.scope"
_NOT_THERE = frozenset({errno.ENOENT, errno.EOPNOTSUPP})
"""A kernel that could tell of pressure but was not booted with psi=1 has the files all the same."""


class CgroupV2:
    """The jobs below the unified hierarchy mounted at ``mount``, as far as they are ``node``'s."""

    name = "cgroup_v2"

    def __init__(self, mount: str, node: str) -> None:
        """Nothing is read yet."""
        self._mount = mount
        self._node = node
        self._scopes: list[str] = []
        self._absent: set[str] = set()

    def look_again(self) -> bool:
        """Looks for Slurm's scopes anew; whether there are any."""
        found: dict[str, list[str]] = {}
        for slice_ in files.names(self._mount):
            if not slice_.endswith(".slice"):
                continue
            for scope in files.names(f"{self._mount}/{slice_}"):
                if scope.endswith(_SCOPE):
                    node = scope[: -len(_SCOPE) - 1]
                    found.setdefault(node, []).append(f"{self._mount}/{slice_}/{scope}")
        self._scopes = of_node(found, self._node)
        self._absent.clear()
        return bool(self._scopes)

    def tops(self) -> Sequence[str]:
        """The folders that hold the jobs."""
        return self._scopes

    def folders(self) -> list[JobFolder]:
        """The folders of the jobs that run now."""
        return [folder for scope in self._scopes for folder in jobs_in(scope)]

    def read(self, folder: JobFolder) -> Reading:
        """A job's reading; OSError if the job has gone or its memory is not accounted."""
        path = folder.path
        cpu = files.read(f"{path}/cpu.stat")
        usage = files.value(cpu, b"usage_usec")
        if usage is None:
            raise ValueError(f"{path}/cpu.stat has no usage_usec")
        throttled = files.value(cpu, b"throttled_usec")
        current = files.read_int(f"{path}/memory.current")
        inactive = files.value(files.read(f"{path}/memory.stat"), b"inactive_file") or 0
        peak = self._optional(path, "memory.peak")
        events = self._optional(path, "memory.events")
        io = self._optional(path, "io.stat")
        return Reading(
            cpu_seconds=usage / 1e6,
            memory_bytes=max(current - inactive, 0),
            memory_peak_bytes=int(peak) if peak else None,
            oom_kills=files.value(events, b"oom_kill") if events else None,
            throttled_seconds=None if throttled is None else throttled / 1e6,
            io_read_bytes=None if io is None else _summed(io, b"rbytes="),
            io_write_bytes=None if io is None else _summed(io, b"wbytes="),
        )

    def _optional(self, path: str, name: str) -> bytes | None:
        """A file that the kernel or the configuration may lack; asked for once a look."""
        if name in self._absent:
            return None
        try:
            return files.read(f"{path}/{name}")
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            os.stat(path)  # raises if the whole job has gone
            self._absent.add(name)
            return None

    def cpu_limit(self, folder: JobFolder) -> float | None:
        """The smaller of the CPU set and the quota."""
        limits: list[float] = []
        cpus = self._optional(folder.path, "cpuset.cpus.effective")
        if cpus and cpus.strip():
            limits.append(count_ids(cpus))
        quota, _, period = (self._optional(folder.path, "cpu.max") or b"max").partition(b" ")
        if quota.strip() != b"max":
            limits.append(int(quota) / int(period))
        return min(limits, default=None)

    def processes(self, folder: JobFolder) -> list[int]:
        """The ids of the job's processes."""
        return processes_below(folder.path)

    def gpu_minors(self, folder: JobFolder) -> frozenset[int] | None:
        """None: here Slurm confines devices by eBPF, which cannot be read back."""
        return None

    def details(self, folder: JobFolder) -> Details:
        """More of the job, for people."""
        path = folder.path
        stat = self._optional(path, "memory.stat") or b""
        limit = (self._optional(path, "memory.max") or b"max").strip()
        return Details(
            anonymous_bytes=files.value(stat, b"anon"),
            file_bytes=files.value(stat, b"file"),
            limit_bytes=None if limit == b"max" else int(limit),
            cpu_pressure_percent=_pressure(self._optional(path, "cpu.pressure")),
            memory_pressure_percent=_pressure(self._optional(path, "memory.pressure")),
            io_pressure_percent=_pressure(self._optional(path, "io.pressure")),
        )


def _summed(io: bytes, key: bytes) -> int:
    """The sum of ``key`` over the devices of ``io.stat``."""
    return sum(int(word[len(key) :]) for word in io.split() if word.startswith(key))


def _pressure(data: bytes | None) -> float | None:
    """Percent of the last minute in which some task waited (``some … avg60=…``)."""
    if data is None:
        return None
    for word in data.split():
        if word.startswith(b"avg60="):
            return float(word[6:])
    return None
