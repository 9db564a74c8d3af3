"""Check what can be read on this node."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.doctor import gpus, node_name
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.node.cgroups.discovery import layouts_in
from hpcobs_forwarder.node.cgroups.files import job_id_in
from hpcobs_forwarder.node.host import read_host
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.spool.fallback import Fallback

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.node.cgroups.layout import JobFolder, Layout

_ACCOUNTING = (
    "set in slurm.conf ProctrackType=proctrack/cgroup, TaskPlugin=task/cgroup,… and "
    "JobAcctGatherType=jobacct_gather/cgroup, and in cgroup.conf ConstrainRAMSpace=yes; then "
    "restart slurmd when no job is running"
)


def examine(config: Config) -> Iterator[Finding]:
    """Check the host, its cgroups, its jobs and its GPUs."""
    root = config.root.rstrip("/")
    yield _host(root)
    records = Records(f"{config.spool_dir}/jobs", Fallback(config.fallback_dir))
    records.refresh()
    yield from node_name.examine(config, records)
    layouts = layouts_in(root, config.node)
    used = [layout for layout in layouts if layout.search()]
    if not used:
        names = " and ".join(layout.name for layout in layouts)
        yield warning(
            f"{names}: Slurm has no folder in {root}/sys/fs/cgroup",
            f"run a job on this node, then the doctor again; if that does not help, {_ACCOUNTING}",
        )
    for layout in used:
        yield from _layout(layout, records, config.node)
    yield from gpus.examine(config, used, records)


def _host(root: str) -> Finding:
    try:
        host = read_host(root)
    except (OSError, ValueError) as error:
        return failure(
            f"the host's CPUs and memory cannot be read: {error}",
            f"mount {root}/proc and {root}/sys",
        )
    return ok(f"host: {host.cpus} CPUs, {host.memory_total_mb} MiB, load {host.cpu_load}")


def _layout(layout: Layout, records: Records, node: str) -> Iterator[Finding]:
    for top in layout.tops():
        yield ok(f"{layout.name}: the folder of Slurm's jobs is {top}")
        yield from _name_of(top, node)
    folders = layout.folders()
    yield ok(f"{layout.name}: {len(folders)} jobs are running")
    if folders:
        yield _readable(layout, folders[0])
        yield from _recorded(folders, records)


def _name_of(top: str, node: str) -> Iterator[Finding]:
    folder = os.path.basename(top)
    name = folder[len("slurm_") :] if folder.startswith("slurm_") else folder.rpartition("_")[0]
    if name and name != node:
        yield node_name.another_name(name, node)


def _readable(layout: Layout, folder: JobFolder) -> Finding:
    try:
        reading = layout.read(folder)
        limit = layout.cpu_limit(folder)
    except (OSError, ValueError) as error:
        return failure(f"{layout.name}: {folder.name} cannot be read: {error}", _ACCOUNTING)
    limited = "without a CPU limit" if limit is None else f"limited to {limit:g} CPUs"
    return ok(
        f"{layout.name}: {folder.name} has used {reading.cpu_seconds:.1f} CPU seconds and "
        f"{reading.memory_bytes >> 20} MiB, {limited}"
    )


def _recorded(folders: Sequence[JobFolder], records: Records) -> Iterator[Finding]:
    found = 0
    for folder in folders:
        job_id = job_id_in(folder.name)
        found += bool(records.of_job(job_id) if job_id else records.of_sluid(folder.name))
    if found == len(folders):
        yield ok("Prolog records found for all running jobs")
        return
    yield warning(
        f"Prolog records found for {found} of {len(folders)} running jobs",
        "set Prolog=/usr/libexec/hpcobs/prolog in slurm.conf; "
        "ignore this for jobs that started before the hook was installed",
    )
