"""Folder trees of Slurm's jobs as the kernel shows them, with numbers that the tests choose."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from hpcobs_forwarder.node.cgroups.layout import JobFolder, Layout, Reading

MIB = 1 << 20


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def host(root: Path, *, cpus: int = 8, total_mb: int = 16_000, available_mb: int = 12_000) -> None:
    write(root / "sys/devices/system/cpu/online", f"0-{cpus - 1}\n")
    write(root / "proc/loadavg", "1.25 0.80 0.40 2/345 6789\n")
    write(
        root / "proc/meminfo",
        f"MemTotal:       {total_mb * 1024} kB\nMemFree:  1 kB\n"
        f"MemAvailable:   {available_mb * 1024} kB\n",
    )


class V2Job:
    """One job's folder below a scope of the unified hierarchy."""

    def __init__(self, root: Path, name: str, scope: str = "slurmstepd.scope") -> None:
        self.path = root / "sys/fs/cgroup/system.slice" / scope / name
        write(root / "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
        write(self.path.parent / "system/cgroup.procs", "1\n")
        self.cpu(0)
        self.memory(current_mb=0)
        self.file("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n")
        self.file("cpuset.cpus.effective", "0-3\n")
        self.file("cpu.max", "max 100000\n")
        self.processes()

    def file(self, name: str, text: str) -> None:
        write(self.path / name, text)

    def cpu(self, seconds: float, throttled_seconds: float = 0) -> None:
        self.file(
            "cpu.stat",
            f"usage_usec {round(seconds * 1e6)}\nuser_usec 1\nsystem_usec 1\n"
            f"nr_periods 0\nnr_throttled 0\nthrottled_usec {round(throttled_seconds * 1e6)}\n",
        )

    def memory(self, *, current_mb: int, inactive_mb: int = 0, anon_mb: int = 0) -> None:
        self.file("memory.current", f"{current_mb * MIB}\n")
        self.file(
            "memory.stat",
            f"anon {anon_mb * MIB}\nfile {inactive_mb * MIB}\nkernel 0\n"
            f"inactive_anon 77\nactive_anon 0\ninactive_file {inactive_mb * MIB}\nactive_file 0\n",
        )

    def processes(self, *ids: int) -> None:
        self.file("step_0/user/task_0/cgroup.procs", "".join(f"{one}\n" for one in ids))

    def vanish(self) -> None:
        shutil.rmtree(self.path)


class V1Job:
    """One job's folders in the split hierarchies."""

    def __init__(
        self, root: Path, name: str, top: str = "slurm", *, uid: int = 33, cpuacct: bool = True
    ) -> None:
        self._cgroup = root / "sys/fs/cgroup"
        self._relative = f"{top}/uid_{uid}/{name}"
        self._cpuacct = cpuacct
        self.cpu(0)
        self.file("cpuset", "cpuset.cpus", "0-3\n")
        for step in ("", "step_batch", "step_batch/task_0", "step_extern"):
            self.memory(used_mb=0, below=step)
            self.kills(0, below=step)
        self.file("memory", "step_batch/task_0/cgroup.procs", "")

    def file(self, controller: str, name: str, text: str) -> None:
        write(self._cgroup / controller / self._relative / name.lstrip("/"), text)

    def cpu(self, seconds: float) -> None:
        if self._cpuacct:
            self.file("cpuacct", "cpuacct.usage", f"{round(seconds * 1e9)}\n")

    def memory(
        self, *, used_mb: int, inactive_mb: int = 0, peak_mb: int = 0, below: str = ""
    ) -> None:
        self.file("memory", f"{below}/memory.usage_in_bytes", f"{used_mb * MIB}\n")
        self.file("memory", f"{below}/memory.max_usage_in_bytes", f"{peak_mb * MIB}\n")
        self.file("memory", f"{below}/memory.limit_in_bytes", "9223372036854771712\n")
        self.file(
            "memory",
            f"{below}/memory.stat",
            f"cache 0\nrss 0\ninactive_file 5\ntotal_cache {inactive_mb * MIB}\n"
            f"total_rss {(used_mb - inactive_mb) * MIB}\n"
            f"total_inactive_file {inactive_mb * MIB}\n",
        )

    def kills(self, count: int, below: str = "", *, failcnt: int = 0) -> None:
        self.file("memory", f"{below}/memory.failcnt", f"{failcnt}\n")
        self.file(
            "memory",
            f"{below}/memory.oom_control",
            f"oom_kill_disable 0\nunder_oom 0\noom_kill {count}\n",
        )

    def processes(self, *ids: int) -> None:
        text = "".join(f"{one}\n" for one in ids)
        self.file("memory", "step_batch/task_0/cgroup.procs", text)

    def vanish(self) -> None:
        for controller in self._cgroup.iterdir():
            shutil.rmtree(controller / self._relative, ignore_errors=True)


def process(root: Path, number: int, *, ticks: tuple[int, int, int, int], cgroup: str = "") -> None:
    """Write a process into /proc, with its utime, stime, cutime and cstime."""
    times = " ".join(map(str, ticks))
    write(
        root / f"proc/{number}/stat",
        f"{number} (a (b) c) S 1 1 1 0 -1 4194304 9 9 9 9 {times} 20 0 1 0 100 1 1\n",
    )
    write(root / f"proc/{number}/cgroup", f"0::{cgroup}\n")


def record(folder: Path, job_id: str, **fields: Any) -> Path:
    """Write a Prolog's record of a job. Return its path."""
    write(folder / f"{job_id}.json", json.dumps({"job_id": job_id, **fields}))
    return folder / f"{job_id}.json"


def only_folder(layout: Layout) -> JobFolder:
    """Return the one job folder that ``layout`` finds."""
    (folder,) = layout.folders()
    return folder


def only_reading(layout: Layout) -> Reading:
    """Read the one job that ``layout`` finds."""
    return layout.read(only_folder(layout))
