"""Read jobs in the split hierarchies: ``<controller>/slurm[_<node>]/uid_<uid>/job_<id>``.

A job's files include all its steps, because the kernel accounts hierarchically. OOM kills are the
exception: version 1 counts a kill only in the cgroup of the killed task. Formats:
Documentation/admin-guide/cgroup-v1.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.node.cgroups import files
from hpcobs_forwarder.node.cgroups.files import jobs_in, of_nodes
from hpcobs_forwarder.node.cgroups.layout import Details, JobFolder, Reading
from hpcobs_forwarder.node.cgroups.memory import checked_size, in_use_v1
from hpcobs_forwarder.node.cgroups.optional import OptionalValues
from hpcobs_forwarder.node.cgroups.processes import cpu_seconds, processes_below

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_NO_LIMIT = 1 << 60
"""Version 1 writes "no limit" as the largest multiple of a page, which depends on the page size."""

# 195 is NVIDIA's major number in the kernel's devices.txt. Its minors 254 and 255 are
# /dev/nvidia-modeset and /dev/nvidiactl, which every GPU job may open.
_NVIDIA_MAJOR = b"195"
_FIRST_NVIDIA_CONTROL_MINOR = 254


class CgroupV1:
    """The jobs of ``node`` below the hierarchies mounted in ``mount``.

    A job's path is relative to the controllers' folders. ``proc`` is read where Slurm does not
    account CPU time by cgroup (``JobAcctGatherType=jobacct_gather/linux``).
    """

    name = "cgroup_v1"

    def __init__(self, mount: str, node: str, proc: str) -> None:
        """Read nothing yet."""
        self._mount = mount
        self._node = node
        self._proc = proc
        self._tops: list[str] = []
        self._cpuacct = True

    def search(self, nodes: Collection[str] = ()) -> bool:
        """Search for Slurm's folders again. Return whether there are any."""
        found: dict[str, list[str]] = {}
        for name in files.names(f"{self._mount}/memory"):
            if name == "slurm" or name.startswith("slurm_"):
                found.setdefault(name[len("slurm_") :], []).append(name)
        self._tops = of_nodes(found, {self._node, *nodes})
        self._cpuacct = any(os.path.isdir(f"{self._mount}/cpuacct/{top}") for top in self._tops)
        return bool(self._tops)

    def tops(self) -> Sequence[str]:
        """Return the folders that hold the jobs."""
        return [f"{self._mount}/memory/{top}" for top in self._tops]

    def folders(self) -> list[JobFolder]:
        """Return the folders of the running jobs."""
        memory = f"{self._mount}/memory/"
        return [
            folder._replace(path=folder.path[len(memory) :])
            for top in self._tops
            for uid in files.names(memory + top)
            if uid.startswith("uid_")
            for folder in jobs_in(f"{memory}{top}/{uid}")
        ]

    def read(self, folder: JobFolder) -> Reading:
        """Read a job's use. Raise OSError if the job has gone, ValueError for a malformed file."""
        memory = f"{self._mount}/memory/{folder.path}"
        usage = files.read_int(f"{memory}/memory.usage_in_bytes")
        in_use = in_use_v1(usage, files.read(f"{memory}/memory.stat"))
        optional = OptionalValues(memory)
        return Reading(
            cpu_seconds=self._cpu_seconds(folder),
            memory_bytes=in_use,
            memory_peak_bytes=optional.read(lambda: _peak(memory)),
            oom_kills=optional.read(lambda: _oom_kills(memory)),
            throttled_seconds=optional.read(lambda: self._throttled_seconds(folder)),
            unread=optional.errors,
        )

    def _cpu_seconds(self, folder: JobFolder) -> float:
        if self._cpuacct:
            return files.read_int(f"{self._mount}/cpuacct/{folder.path}/cpuacct.usage") / 1e9
        return cpu_seconds(self._proc, self.processes(folder))

    def _throttled_seconds(self, folder: JobFolder) -> float | None:
        if not self._cpuacct:
            return None
        try:
            stat = files.read(f"{self._mount}/cpuacct/{folder.path}/cpu.stat")
        except FileNotFoundError:  # cpu and cpuacct are not mounted together
            return None
        nanoseconds = files.value(stat, b"throttled_time")
        return None if nanoseconds is None else nanoseconds / 1e9

    def cpu_limit(self, folder: JobFolder) -> float | None:
        """Return the size of the CPU set, or None if it is empty or missing."""
        # cpu.cfs_quota_us is not read: with version 1 Slurm sets no quota.
        try:
            cpus = files.read(f"{self._mount}/cpuset/{folder.path}/cpuset.cpus")
        except FileNotFoundError:
            return None
        return files.count_ids(cpus) or None

    def processes(self, folder: JobFolder) -> list[int]:
        """Return the ids of the job's processes."""
        return processes_below(f"{self._mount}/memory/{folder.path}")

    def gpu_minors(self, folder: JobFolder) -> frozenset[int] | None:
        """Return the GPUs that the device cgroup allows, or None if it allows all devices."""
        try:
            rules = files.read(f"{self._mount}/devices/{folder.path}/devices.list").split(b"\n")
        except FileNotFoundError:
            return None
        minors: set[int] = set()
        for rule in filter(None, rules):
            kind, device, access = rule.split()[:3]
            major, _, minor = device.partition(b":")
            # A rule without "r" (`c *:* m`) allows only mknod, which every job may do.
            if kind == b"b" or b"r" not in access or major not in {b"*", _NVIDIA_MAJOR}:
                continue
            if minor == b"*":
                return None  # all devices are allowed: ConstrainDevices is off
            if int(minor) < _FIRST_NVIDIA_CONTROL_MINOR:
                minors.add(int(minor))
        return frozenset(minors)

    def details(self, folder: JobFolder) -> Details:
        """Read more about a job, for people. Version 1 has no pressure files."""
        memory = f"{self._mount}/memory/{folder.path}"
        optional = OptionalValues(memory)
        stat = optional.read(lambda: files.read(f"{memory}/memory.stat")) or b""
        return Details(
            anonymous_bytes=optional.read(lambda: files.value(stat, b"total_rss")),
            file_bytes=optional.read(lambda: files.value(stat, b"total_cache")),
            limit_bytes=optional.read(lambda: _limit(memory)),
        )


def _peak(memory: str) -> int:
    return checked_size(files.read_int(f"{memory}/memory.max_usage_in_bytes"))


def _limit(memory: str) -> int | None:
    limit = files.read_int(f"{memory}/memory.limit_in_bytes")
    return limit if limit < _NO_LIMIT else None


def _oom_kills(memory: str) -> int | None:
    """Return the kills in the job, its steps and tasks, or None if the kernel does not count."""
    kills = files.value(files.read(f"{memory}/memory.oom_control"), b"oom_kill")
    if kills is None:
        return None
    # The job's own limit also kills in steps that did not reach theirs. Then all steps are read.
    limit_reached = files.read_int(f"{memory}/memory.failcnt") > 0
    for name in files.names(memory):
        if name.startswith("step_"):
            kills += _kills_in_step(f"{memory}/{name}", limit_reached=limit_reached)
    return kills


def _kills_in_step(step: str, *, limit_reached: bool) -> int:
    try:
        if not limit_reached and not files.read_int(f"{step}/memory.failcnt"):
            return 0  # no limit was reached, so nothing was killed: saves a read per task
        folders = [step, *(f"{step}/{task}" for task in files.names(step) if task[:5] == "task_")]
        controls = [files.read(f"{folder}/memory.oom_control") for folder in folders]
    except OSError:
        return 0  # the step has just ended
    return sum(files.value(control, b"oom_kill") or 0 for control in controls)
