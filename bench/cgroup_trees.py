"""Folder trees as the kernel shows them for Slurm's jobs, with files of the kernel's size.

The size matters, because a sampling pass reads and parses all of them.
"""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOBODY = 65534
PROCESSES_PER_JOB = 2
STEPS = ("step_batch", "step_extern", "step_0")

STAT_NAMES = (
    *("anon", "file", "kernel", "kernel_stack", "pagetables", "sec_pagetables", "percpu", "sock"),
    *("vmalloc", "shmem", "zswap", "zswapped", "file_mapped", "file_dirty", "file_writeback"),
    *("swapcached", "anon_thp", "file_thp", "shmem_thp", "inactive_anon", "active_anon"),
    *("inactive_file", "active_file", "unevictable", "slab_reclaimable", "slab_unreclaimable"),
    *("slab", "workingset_refault_anon", "workingset_refault_file", "workingset_activate_anon"),
    *("workingset_activate_file", "pgscan", "pgsteal", "pgfault", "pgmajfault", "pgrefill"),
)
V1_NAMES = (
    *("cache", "rss", "rss_huge", "mapped_file", "dirty", "writeback", "pgpgin", "pgpgout"),
    *("inactive_anon", "active_anon", "inactive_file", "active_file", "unevictable", "swap"),
)

V2_FILES = {
    "cpu.stat": "usage_usec 123456789\nuser_usec 100000000\nsystem_usec 23456789\n"
    "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n",
    "memory.current": "4294967296\n",
    "memory.peak": "5368709120\n",
    "memory.max": "8589934592\n",
    "memory.stat": "".join(f"{name} 123456789\n" for name in STAT_NAMES),
    "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    "io.stat": "8:0 rbytes=123456 wbytes=654321 rios=12 wios=34 dbytes=0 dios=0\n",
    "cpuset.cpus.effective": "0-3\n",
    "cpu.max": "max 100000\n",
}
V1_FILES = {
    "memory": {
        "memory.usage_in_bytes": "4294967296\n",
        "memory.max_usage_in_bytes": "5368709120\n",
        "memory.limit_in_bytes": "8589934592\n",
        "memory.failcnt": "0\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
        "memory.stat": "".join(
            f"{prefix}{name} 123456789\n" for prefix in ("", "total_") for name in V1_NAMES
        ),
    },
    "cpu,cpuacct": {
        "cpuacct.usage": "123456789000\n",
        "cpuacct.usage_percpu": "1234567890 " * 64 + "\n",
        "cpu.stat": "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
    },
    "cpuset": {"cpuset.cpus": "0-3\n", "cpuset.effective_cpus": "0-3\n"},
}


@contextmanager
def processes(count: int) -> Iterator[list[int]]:
    """Start ``count`` sleeping processes, none of them as root. Yield their ids."""
    # slurm-job-exporter skips root's processes, so as root start them as another user.
    user = NOBODY if os.geteuid() == 0 else None
    running = [
        subprocess.Popen(
            ["/bin/sleep", "3600"], user=user, env={"SLURM_JOB_ACCOUNT": "bench"}, close_fds=False
        )
        for _ in range(count)
    ]
    try:
        time.sleep(0.2)
        yield [process.pid for process in running]
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()


def host(root: Path) -> None:
    """Write the files of the host itself."""
    _write(root / "sys/devices/system/cpu/online", "0-63\n")
    _write(root / "proc/loadavg", "1.25 0.80 0.40 2/345 6789\n")
    _write(root / "proc/meminfo", "MemTotal: 263000000 kB\nMemFree: 1 kB\nMemAvailable: 9 kB\n")


def version_2(root: Path, jobs: int, pids: list[int]) -> None:
    """Write jobs in the unified hierarchy."""
    host(root)
    _write(root / "sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n")
    scope = root / "sys/fs/cgroup/system.slice/slurmstepd.scope"
    for number in range(jobs):
        job = scope / f"job_{1000 + number}"
        for name, text in V2_FILES.items():
            _write(job / name, text)
        _steps(job, ("slurm", "user", "user/task_0"), _own(pids, number))


def version_1(root: Path, jobs: int, pids: list[int]) -> None:
    """Write jobs in the split hierarchies."""
    host(root)
    top = root / "sys/fs/cgroup"
    for number in range(jobs):
        relative = f"slurm/uid_1000/job_{1000 + number}"
        for controller, files in V1_FILES.items():
            for name, text in files.items():
                _write(top / controller / relative / name, text)
        memory = top / "memory" / relative
        _steps(memory, ("task_0",), _own(pids, number))
        for step in STEPS:
            for folder in (memory / step, memory / step / "task_0"):
                _write(folder / "memory.failcnt", "0\n")
                _write(folder / "memory.oom_control", "under_oom 0\noom_kill 0\n")
    (top / "cpuacct").symlink_to("cpu,cpuacct")


def _own(pids: list[int], number: int) -> list[int]:
    start = number * PROCESSES_PER_JOB
    return pids[start : start + PROCESSES_PER_JOB]


def _steps(job: Path, folders: tuple[str, ...], pids: list[int]) -> None:
    """Write the job's steps. Its processes are in the first."""
    _write(job / "cgroup.procs", "")
    for step in STEPS:
        for folder in ("", *folders):
            _write(job / step / folder / "cgroup.procs", "")
    _write(job / STEPS[0] / folders[-1] / "cgroup.procs", "".join(f"{pid}\n" for pid in pids))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
