"""Read slurm.conf: the hooks that it names, and the cluster's name."""

from __future__ import annotations

import os
from typing import NamedTuple

_FILES = (
    "etc/slurm/slurm.conf",
    "etc/slurm-llnl/slurm.conf",
    "run/slurm/conf/slurm.conf",
    "var/spool/slurmd/conf-cache/slurm.conf",
)
"""The packages' places, and where a configless slurmd keeps its copy (slurm.conf(5))."""


class SlurmConf(NamedTuple):
    """The file at ``path``: each setting's values by its name in lower case.

    ``includes`` is true if the file includes others. They are not read.
    """

    path: str
    settings: dict[str, list[str]]
    includes: bool

    def first(self, name: str) -> str | None:
        """Return the setting's first value, or None if the file does not set it."""
        return next(filter(None, self.settings.get(name.lower(), ())), None)


def read_slurm_conf(root: str) -> SlurmConf | None:
    """Read the file in ``$SLURM_CONF``, else the first usual one. Return None without any."""
    for path in slurm_conf_paths(root):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                return _parsed(path, lines.read().splitlines())
        except OSError:
            continue
    return None


def slurm_conf_paths(root: str) -> list[str]:
    """Return where slurm.conf may be: ``$SLURM_CONF`` if it is set, then the usual places."""
    places = [f"{root.rstrip('/')}/{file}" for file in _FILES]
    return list(filter(None, [os.environ.get("SLURM_CONF"), *places]))


def cluster_name_in_slurm_conf(root: str) -> str | None:
    """Return ``ClusterName`` in lower case, as Slurm does, or None without one."""
    # The last choice. Hooks, samples and the controller role must send the same name. Each prefers
    # HPCOBS_CLUSTER_NAME, then the name that Slurm passes to it, which Slurm reads from this file.
    conf = read_slurm_conf(root)
    name = conf.first("ClusterName") if conf else None
    return name.lower() if name else None


def _parsed(path: str, lines: list[str]) -> SlurmConf:
    settings: dict[str, list[str]] = {}
    includes = False
    for line in lines:
        name, equals, value = line.partition("#")[0].partition("=")
        if equals:
            # A line may hold several settings, separated by spaces. Hooks and ClusterName stand
            # alone or first on theirs.
            words = value.split()
            settings.setdefault(name.strip().lower(), []).append(
                words[0].strip('"') if words else ""
            )
        includes = includes or name.strip().lower().startswith("include ")
    return SlurmConf(path, settings, includes)
