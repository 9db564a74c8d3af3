"""What the cluster is called: hooks, samples and the controller's view must all say the same.

The configuration's word goes first (HPCOBS_CLUSTER_NAME, which the hooks read too), then Slurm's
own, as each of the three hears it, and last the file that Slurm takes its own word from.
"""

from __future__ import annotations

import os

_FILES = (
    "etc/slurm/slurm.conf",
    "etc/slurm-llnl/slurm.conf",
    "run/slurm/conf/slurm.conf",
    "var/spool/slurmd/conf-cache/slurm.conf",
)
"""The packages' places, and where a configless slurmd keeps its copy (slurm.conf(5))."""


def name_in_slurm_conf(root: str) -> str | None:
    """``ClusterName`` in slurm.conf, lower case as Slurm makes it; None if it cannot be found."""
    places = [f"{root.rstrip('/')}/{file}" for file in _FILES]
    for path in filter(None, [os.environ.get("SLURM_CONF"), *places]):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                return next(filter(None, map(_named, lines)), None)
        except OSError:
            continue
    return None


def _named(line: str) -> str | None:
    key, equals, value = line.partition("#")[0].partition("=")
    if not equals or key.strip().lower() != "clustername":
        return None
    return value.strip().strip('"').lower() or None
