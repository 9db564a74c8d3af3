"""The cluster's name. Hooks, samples and controller role must all send the same name.

Each takes the first of these: HPCOBS_CLUSTER_NAME, which the hooks read too, then the name that
Slurm passes to it, and last the name in slurm.conf, from which Slurm has it.
"""

from __future__ import annotations

from hpcobs_forwarder.slurm_conf import read_slurm_conf


def name_in_slurm_conf(root: str) -> str | None:
    """Return ``ClusterName`` of slurm.conf in lower case, as Slurm does, or None without one."""
    conf = read_slurm_conf(root)
    name = conf.first("ClusterName") if conf else None
    return name.lower() if name else None
