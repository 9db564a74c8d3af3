"""The cost of the forwarder on a node: CPU time of a sampling pass, and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import cgroup_trees, job_exporter
from bench.measuring import Figure, show
from hpcobs_forwarder.compose import Parts
from hpcobs_forwarder.daemon.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

JOBS = (100, 256)
ROUNDS = 31
PASSES = 40
BARE = "import sys; sys.stdin.read()"

V2_READ = ("cpu.stat", "memory.current", "memory.stat", "memory.peak", "memory.events", "io.stat")
V1_READ = ("memory.usage_in_bytes", "memory.stat", "memory.max_usage_in_bytes",
           "memory.oom_control", "memory.failcnt", "/cpuacct.usage", "/cpu.stat")  # fmt: skip


def run() -> None:
    """Measure and print the results."""
    with cgroup_trees.processes(max(JOBS) * cgroup_trees.PROCESSES_PER_JOB) as pids:
        for jobs in JOBS:
            # Both versions of cgroups are still in use: RHEL 8 has version 1, RHEL 9 version 2.
            for make, paths in (
                (cgroup_trees.version_2, job_exporter.V2),
                (cgroup_trees.version_1, job_exporter.V1),
            ):
                with tempfile.TemporaryDirectory() as folder:
                    make(Path(folder), jobs, pids)
                    _one_tree(folder, jobs, paths)
    _daemon()


def _one_tree(root: str, jobs: int, paths: job_exporter.Paths) -> None:
    version = 2 if paths is job_exporter.V2 else 1
    floor = partial(_plain_read, root, paths)
    work = Parts(_config(root)).node_work()
    parts = Parts(_config(root, spool="spool-2"))
    parts.spool.open()
    ways: dict[str, Callable[[], object]] = {
        "the forwarder: samples of all jobs": work.sampler.take,
        "the forwarder: the whole pass, spooled": parts.node_work().tick,
        "slurm-job-exporter's readings, none per process": partial(
            job_exporter.scrape, root, paths, with_processes=False
        ),
        "slurm-job-exporter's readings": partial(
            job_exporter.scrape, root, paths, with_processes=True
        ),
    }
    floors: list[float] = []
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        floors.append(_cpu_milliseconds(floor))
        for name, way in ways.items():
            times[name].append(_cpu_milliseconds(way))
    parts.spool.close()
    show(
        f"CPU time of one pass over {jobs} jobs, cgroup v{version}, {ROUNDS} rounds",
        Figure("the same files, read by open()", "ms", floors),
        [Figure(name, "ms", values) for name, values in times.items()],
        target="samples ≤ 1.5 × the floor; a pass under 100 ms, which is 1 % of a core at 10 s",
    )


def _config(root: str, spool: str = "spool", **fields: Any) -> Config:
    given = Config(
        # Nothing listens on port 9, so all batches stay in the spool.
        role="node", url="http://127.0.0.1:9", token_file=f"{root}/token",
        spool_dir=f"{root}/{spool}", node="n1", root=root, gpus="none",
    )  # fmt: skip
    return given._replace(**fields)


def _cpu_milliseconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000


def _plain_read(root: str, paths: job_exporter.Paths) -> None:
    """Read the files that the forwarder reads of each job, and do nothing with them."""
    for job in Path(root).glob(paths.jobs):
        for name in _files_of(job, paths):
            with open(name, "rb") as file:  # noqa: PTH123 - the fastest plain way
                file.read()


def _files_of(job: Path, paths: job_exporter.Paths) -> list[str]:
    folder = str(job)
    if paths is job_exporter.V2:
        return [f"{folder}/{name}" for name in V2_READ]
    other = folder.replace("/cgroup/memory/", "/cgroup/cpuacct/")
    own = [f"{other if name[0] == '/' else folder}/{name.lstrip('/')}" for name in V1_READ]
    return own + [f"{folder}/{step}/memory.failcnt" for step in cgroup_trees.STEPS]


def _daemon() -> None:
    """Run the whole daemon over 256 jobs. Print its CPU time and memory."""
    with tempfile.TemporaryDirectory() as folder:
        cgroup_trees.version_2(Path(folder), max(JOBS), [])
        health, resident = _health_after(Path(folder), PASSES)
    with subprocess.Popen([sys.executable, "-c", BARE], stdin=subprocess.PIPE) as bare:
        time.sleep(0.5)
        bare_resident = _resident_mib(bare)
        bare.kill()
    per_pass = 1000 * health["cpu_seconds_total"] / health["passes_total"]
    print(f"The whole daemon: {per_pass:.1f} ms of CPU a pass = {per_pass / 100:.2f} % at 10 s")
    show(
        f"Resident memory of the daemon with {max(JOBS)} jobs",
        Figure("a bare Python", "MiB", [bare_resident]),
        [Figure("the forwarder", "MiB", [resident])],
        target="under 30 MiB",
    )


def _resident_mib(process: subprocess.Popen[bytes]) -> float:
    """Return the process's highest resident memory."""
    # Not by getrusage: a child starts with the maximum of its parent, if that was larger.
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def _health_after(root: Path, passes: int) -> tuple[dict[str, float], float]:
    """Return the daemon's health file and memory after some passes with an unreachable site."""
    textfile = root / "health.prom"
    settings = {
        "HPCOBS_URL": "http://127.0.0.1:9",
        "HPCOBS_SPOOL_DIR": str(root / "spool"),
        "HPCOBS_FALLBACK_DIR": str(root / "fallback"),
        "HPCOBS_TOKEN_FILE": str(root / "token"),
        "HPCOBS_TEXTFILE": str(textfile),
        "HPCOBS_INTERVAL_SECONDS": "0.2",
        "HPCOBS_PUSH_SECONDS": "0.6",
        "HPCOBS_GPUS": "none",
    }
    (root / "token").write_text("bench\n")
    command = [sys.executable, "-m", "hpcobs_forwarder", "--sysfs-root", str(root)]
    environ = {**os.environ, **settings}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    try:
        while (health := _read(textfile)).get("passes_total", 0) < passes:
            time.sleep(0.2)
        return health, _resident_mib(process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _read(textfile: Path) -> dict[str, float]:
    if not textfile.exists():
        return {}
    lines = [line.split() for line in textfile.read_text().splitlines() if line[0] != "#"]
    return {name.removeprefix("hpcobs_forwarder_"): float(value) for name, value in lines}
