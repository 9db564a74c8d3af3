"""Check the settings of cgroup.conf by which Slurm limits and counts a job's resources."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.daemon.config import NODE
from hpcobs_forwarder.doctor.finding import Finding, ok, warning
from hpcobs_forwarder.doctor.gres_conf import gpu_files
from hpcobs_forwarder.doctor.settings import place
from hpcobs_forwarder.slurm_conf import beside, read_conf, read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.slurm_conf import SlurmConf

_USES = {
    "ConstrainRAMSpace": "a job's memory is counted and limited",
    "ConstrainCores": "a job's CPUs are known on each of its nodes",
    "ConstrainDevices": "a job's GPUs are known, and no other job can use them",
}
_YES = {"yes", "up", "true", "1"}
"""What Slurm reads as yes, in any case."""


def examine(config: Config) -> Iterator[Finding]:
    """Check cgroup.conf beside slurm.conf. Yield nothing where slurm.conf cannot be read."""
    conf = read_slurm_conf(config.root)
    if conf is None:
        return
    path = beside(conf, "cgroup.conf")
    # slurmctld's host may have no cgroup.conf: only slurmd reads it.
    if config.role != NODE and not os.path.lexists(path):
        return
    cgroups = read_conf(path)
    wanted = ["ConstrainRAMSpace", "ConstrainCores"]
    if config.role != NODE or gpu_files(config.root):
        wanted.append("ConstrainDevices")
    for name in wanted:
        yield _met(conf, path, cgroups, name)
    for unread in cgroups.unread if cgroups else ():
        yield warning(
            f"{path} includes {unread}, which cannot be read",
            f"correct the Include line, or make {unread} readable",
        )


def _met(conf: SlurmConf, path: str, cgroups: SlurmConf | None, name: str) -> Finding:
    found = cgroups.last(name) if cgroups else None
    if found and found.lower() in _YES:
        return ok(f"{name}={found} in cgroup.conf")
    if cgroups is None:
        problem = f"{path} cannot be read"
    else:
        problem = f"{path} sets {name}={found}" if found else f"{path} sets no {name}"
    return warning(
        problem,
        f"write {name}=yes in {place(conf, 'cgroup.conf')}, so that {_USES[name]}; then restart "
        "every slurmd when no job is running",
    )
