"""What the cluster is called: hooks, samples and the controller's view must all say the same.

The configuration's word goes first (HPCOBS_CLUSTER_NAME, which the hooks read too), then Slurm's
own, as each of the three hears it, and last the file that Slurm takes its own word from.
"""

from __future__ import annotations

from hpcobs_forwarder.slurm_conf import read_slurm_conf


def name_in_slurm_conf(root: str) -> str | None:
    """``ClusterName`` in slurm.conf, lower case as Slurm makes it; None if it cannot be found."""
    conf = read_slurm_conf(root)
    name = conf.first("ClusterName") if conf else None
    return name.lower() if name else None
