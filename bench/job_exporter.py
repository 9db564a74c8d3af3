"""The readings that slurm-job-exporter makes of a job at every scrape (github.com/guilbaults).

That program is not on PyPI and needs fixed paths. So this module makes the same readings in the
same order, with psutil too: first the processes of all folders and each process's user, then one
process's environment, then the job's files, then each process's command line, threads, program and
times.
"""

# ruff: noqa: PTH118, PTH123, PTH207 - the original uses os and glob; pathlib is slower

from __future__ import annotations

import glob
import os
from typing import NamedTuple

import psutil
from prometheus_client.core import GaugeMetricFamily


class Paths(NamedTuple):
    """The paths that one version of cgroups uses."""

    jobs: str
    memory: tuple[str, ...]
    cpus: str
    usage: str


V2 = Paths(
    jobs="sys/fs/cgroup/system.slice/slurmstepd.scope/job_*",
    memory=("memory.current", "memory.peak", "memory.max"),
    cpus="cpuset.cpus.effective",
    usage="cpu.stat",
)
V1 = Paths(
    jobs="sys/fs/cgroup/memory/slurm/uid_*/job_*",
    memory=("memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes"),
    cpus="cpuset.effective_cpus",
    usage="cpuacct.usage_percpu",
)
V1_CONTROLLERS = {V1.cpus: "cpuset", V1.usage: "cpu,cpuacct"}


def scrape(root: str, paths: Paths, *, with_processes: bool) -> GaugeMetricFamily:
    """Make one scrape. Without processes, read only what the forwarder reads too."""
    family = GaugeMetricFamily("slurm_job", "All readings", labels=["slurmjobid", "what"])
    for job in glob.glob(f"{root}/{paths.jobs}"):
        pids = _processes(job)
        if not pids:
            continue
        psutil.Process(pids[0]).environ()
        _files(job, paths, family)
        if with_processes:
            _each_process(pids)
    return family


def _processes(job: str) -> list[int]:
    found: list[int] = []
    for folder, _, _ in os.walk(job):
        with open(os.path.join(folder, "cgroup.procs")) as lines:
            pids = [int(line) for line in lines]
        found += [pid for pid in pids if psutil.Process(pid).uids().real != 0]
    return found


def _files(job: str, paths: Paths, family: GaugeMetricFamily) -> None:
    job_id = job.rpartition("_")[2]
    for name in paths.memory:
        with open(os.path.join(job, name)) as file:
            family.add_metric([job_id, name], int(file.read()))
    with open(os.path.join(job, "memory.stat")) as file:
        stats = dict(line.split() for line in file)
    for name in list(stats)[:7]:
        family.add_metric([job_id, name], int(stats[name]))
    with open(_beside(job, paths.cpus)) as file:
        first, last = file.read().split("-")
    with open(_beside(job, paths.usage)) as file:
        usage = file.read().split()
    for core in range(int(first), int(last) + 1):
        family.add_metric([job_id, str(core)], int(usage[1 + core // 64]))


def _beside(job: str, name: str) -> str:
    controller = V1_CONTROLLERS.get(name)
    folder = job if controller is None else job.replace("/cgroup/memory/", f"/cgroup/{controller}/")
    return os.path.join(folder, name)


def _each_process(pids: list[int]) -> None:
    for pid in pids:
        process = psutil.Process(pid)
        process.cmdline()
        for thread in process.threads():
            psutil.Process(thread.id).status()
    for pid in pids:
        process = psutil.Process(pid)
        with process.oneshot():
            process.exe()
        for _ in range(4):
            process.cpu_times()
