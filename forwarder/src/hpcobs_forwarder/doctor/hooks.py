"""Check that slurm.conf names hooks, and that Slurm can run them."""

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
    """Check the hooks of this role. Yield nothing where slurm.conf cannot be read."""
    conf = read_slurm_conf(config.root)
    if conf is None:
        return
    for setting, file in _HOOKS[config.role].items():
        values = conf.settings.get(setting.lower())
        if values:
            for value in values:
                yield _hook(setting, value, os.path.dirname(conf.path))
        elif not conf.includes:  # an included file, which is not read, may set it
            yield warning(
                f"{conf.path} sets no {setting}, so hpcobs gets no events from it",
                f"add {setting}=/usr/libexec/hpcobs/{file} there, then run scontrol reconfigure",
            )


def _hook(setting: str, value: str, folder: str) -> Finding:
    # Any executable file is accepted, since a site's own hook may call ours. A pattern such as
    # prolog.d/* is allowed, and a relative path is relative to slurm.conf.
    files = glob.glob(os.path.join(folder, value))
    if not files:
        return failure(
            f"{setting}={value} in slurm.conf: there is no such file, so jobs fail on this host",
            f"install the file, or correct {setting} and run scontrol reconfigure",
        )
    closed = [file for file in files if not os.access(file, os.X_OK)]
    if closed:
        return failure(
            f"{setting} in slurm.conf: {closed[0]} is not executable, so jobs fail on this host",
            f"chmod 755 {closed[0]}",
        )
    return ok(f"{setting}={value}")
