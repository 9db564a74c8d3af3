"""Check the settings of slurm.conf that make Slurm create cgroups for jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.doctor.finding import Finding, ok, warning
from hpcobs_forwarder.slurm_conf import read_slurm_conf, slurm_conf_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.slurm_conf import SlurmConf

_COPIES = ("/run/slurm/conf/", "/conf-cache/")
"""Folders of the copies that a configless slurmd gets from slurmctld."""

_RESTART = "restart slurmctld and every slurmd"
_RESTART_EMPTY = f"{_RESTART} when no job is running"


class _Demand(NamedTuple):
    """A setting: the values of which it needs one, the line to write, and the use of it."""

    name: str
    one_of: tuple[str, ...]
    line: str
    use: str
    then: str = _RESTART_EMPTY


_DEMANDS = (
    _Demand(
        "PrologFlags",
        ("contain", "x11", "runinjob"),  # these two imply Contain
        "Alloc,Contain",
        "a job has a cgroup on all its nodes from its start",
        _RESTART,
    ),
    _Demand(
        "ProctrackType", ("proctrack/cgroup",), "proctrack/cgroup", "Slurm creates cgroups for jobs"
    ),
    _Demand(
        "TaskPlugin",
        ("task/cgroup", "cgroup"),
        "task/affinity,task/cgroup",
        "memory and CPUs are counted by job",
    ),
    _Demand(
        "JobAcctGatherType",
        ("jobacct_gather/cgroup",),
        "jobacct_gather/cgroup",
        "CPU time is counted by cgroup",
    ),
)
_LISTS = {"PrologFlags", "TaskPlugin"}
_REPLACED = {"nohold", "task/none", "none"}
"""Values that Slurm refuses, or that have no meaning, beside those that are asked for."""


def examine(config: Config) -> Iterator[Finding]:
    """Check slurm.conf itself, then its settings for cgroups."""
    conf = read_slurm_conf(config.root)
    if conf is None:
        paths = ", ".join(slurm_conf_paths(config.root))
        yield warning(
            f"slurm.conf cannot be read: it is in none of {paths}",
            "set SLURM_CONF to its path, then run the doctor again: its settings are unchecked",
        )
        return
    for path in conf.unread:
        yield warning(
            f"{conf.path} includes {path}, which cannot be read",
            f"correct the Include line, or make {path} readable: its settings are unchecked",
        )
    for demand in _DEMANDS:
        yield _met(conf, demand)


def place(conf: SlurmConf, name: str = "slurm.conf") -> str:
    """Return where to edit a file: on slurmctld's host if this host has only a copy."""
    if any(folder in conf.path for folder in _COPIES):
        return f"{name} on slurmctld's host"
    return conf.path if name == "slurm.conf" else f"{conf.path.rpartition('/')[0]}/{name}"


def values(text: str | None) -> list[str]:
    """Return the parts of a list, without spaces."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _met(conf: SlurmConf, demand: _Demand) -> Finding:
    found = conf.last(demand.name)
    in_lower_case = [value.lower() for value in values(found)]
    refused = "nohold" in in_lower_case  # Slurm does not start with NoHold and Contain
    if any(value in demand.one_of for value in in_lower_case) and not refused:
        return ok(f"{demand.name}={found}")
    return warning(
        f"{conf.path} sets {demand.name}={found}" if found else _sets_no(conf, demand.name),
        f"write {demand.name}={_line(demand, found)} in {place(conf)}, so that {demand.use}; then "
        f"{demand.then}",
    )


def _sets_no(conf: SlurmConf, name: str) -> str:
    return f"{conf.path} sets no {name}"


def _line(demand: _Demand, found: str | None) -> str:
    """Return the value to write. Other values of a list stay."""
    if demand.name not in _LISTS or not found:
        return demand.line
    kept = [value for value in values(found) if value.lower() not in _REPLACED]
    wanted = [value for value in demand.line.split(",") if value not in kept]
    return ",".join([*kept, *wanted])
