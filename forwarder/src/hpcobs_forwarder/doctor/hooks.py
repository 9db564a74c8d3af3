"""Whether slurm.conf calls the hooks, and whether what it calls is there."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.daemon.config import CONTROLLER, NODE
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning
from hpcobs_forwarder.slurm_conf import read_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config

_HOOKS = {
    NODE: {"Prolog": "prolog", "Epilog": "epilog"},
    CONTROLLER: {"PrologSlurmctld": "prolog_slurmctld", "EpilogSlurmctld": "epilog_slurmctld"},
}


def examine(config: Config) -> Iterator[Finding]:
    """The hooks of this role; nothing where there is no slurm.conf to be read."""
    conf = read_slurm_conf(config.root)
    if conf is None:
        return
    for setting, file in _HOOKS[config.role].items():
        values = conf.settings.get(setting.lower())
        if values:
            for value in values:
                yield _called(setting, value, os.path.dirname(conf.path))
        elif not conf.includes:
            yield warning(
                f"{conf.path} sets no {setting}",
                f"{setting}=/usr/libexec/hpcobs/{file} there, then scontrol reconfigure",
            )


def _called(setting: str, value: str, folder: str) -> Finding:
    """A site may call our hooks from its own: what counts is that Slurm can run what it is told."""
    files = glob.glob(os.path.join(folder, value))
    if not files:
        return failure(
            f"{setting}={value}: there is no such file, so jobs fail", "install it, or correct it"
        )
    closed = [file for file in files if not os.access(file, os.X_OK)]
    if closed:
        return failure(f"{setting}: {closed[0]} is not executable", f"chmod 755 {closed[0]}")
    return ok(f"{setting}={value}")
