"""CPUs of each node as Slurm writes them, ``4(x2),2``: sbatch(1), SLURM_JOB_CPUS_PER_NODE."""

from __future__ import annotations

import re

from hpcobs.scheduler.hostlists import MAX_NODES

_GROUP = re.compile(r"([1-9]\d{0,8})(?:\(x([1-9]\d{0,5})\))?", re.ASCII)


def node_cpus(text: str) -> tuple[int, ...]:
    """The CPUs in the order of the nodes; ValueError if the text is not of that kind."""
    counts: list[int] = []
    for item in text.split(","):
        group = _GROUP.fullmatch(item)
        if group is None:
            raise ValueError("is not a list of CPUs per node as Slurm writes it")
        cpus, nodes = group.groups(default="1")
        if len(counts) + int(nodes) > MAX_NODES:
            raise ValueError(f"must have {MAX_NODES} nodes at the most")
        counts += [int(cpus)] * int(nodes)
    return tuple(counts)
