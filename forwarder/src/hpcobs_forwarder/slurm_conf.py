"""Slurm's own configuration file, as far as it concerns hooks and the cluster's name."""

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

    ``includes`` says whether other files are a part of it, which are not looked into.
    """

    path: str
    settings: dict[str, list[str]]
    includes: bool

    def first(self, name: str) -> str | None:
        """The setting's first value; None if it has none here."""
        return next(filter(None, self.settings.get(name.lower(), ())), None)


def read_slurm_conf(root: str) -> SlurmConf | None:
    """The file that ``$SLURM_CONF`` names, else the first of the usual ones; None without any."""
    places = [f"{root.rstrip('/')}/{file}" for file in _FILES]
    for path in filter(None, [os.environ.get("SLURM_CONF"), *places]):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                return _parsed(path, lines.read().splitlines())
        except OSError:
            continue
    return None


def _parsed(path: str, lines: list[str]) -> SlurmConf:
    settings: dict[str, list[str]] = {}
    includes = False
    for line in lines:
        name, equals, value = line.partition("#")[0].partition("=")
        if equals:
            words = value.split()  # a line may hold several settings: ours stand alone or first
            settings.setdefault(name.strip().lower(), []).append(
                words[0].strip('"') if words else ""
            )
        includes = includes or name.strip().lower().startswith("include ")
    return SlurmConf(path, settings, includes)
