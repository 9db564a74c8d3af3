"""Run all checks and print their findings."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hpcobs_forwarder import __version__
from hpcobs_forwarder.daemon.config import NODE
from hpcobs_forwarder.doctor import (
    access,
    cgroup_conf,
    cluster,
    gres_conf,
    hooks,
    node,
    settings,
    site,
    slurm,
    slurmrestd,
    spool,
)
from hpcobs_forwarder.doctor.finding import FAILURE, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config


def report(config: Config, path: str | None = None) -> int:
    """Print the findings. Return 1 if something does not work, else 0.

    ``path`` is that of the configuration, if it is not the default one.
    """
    _print(f"hpcobs-forwarder {__version__}, role {config.role}, node {config.node}\n")
    levels: list[str] = []
    for finding in examine(config, path):
        levels.append(finding.level)
        _print(_lines(finding))
    failures, warnings = levels.count(FAILURE), levels.count(WARNING)
    _print(f"{failures} failures, {warnings} warnings\n")
    return 1 if failures else 0


def examine(config: Config, path: str | None = None) -> Iterator[Finding]:
    """Yield all findings, in the order in which data passes the parts."""
    if config.role == NODE:
        yield from node.examine(config)
    else:
        yield from slurm.examine(config)
        yield from slurmrestd.examine(config)
    for part in (settings, cgroup_conf, gres_conf, hooks):
        yield from part.examine(config)
    yield from access.examine(config, path)
    yield from spool.examine(config)
    yield from site.examine(config)
    yield from cluster.examine(config)


def _lines(finding: Finding) -> str:
    fix = f"      fix: {finding.fix}\n" if finding.fix else ""
    return f"{finding.level:>4}  {finding.text}\n{fix}"


def _print(text: str) -> None:
    # A file of Slurm may contain characters that the terminal's encoding has not.
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, errors="replace").decode(encoding))
    sys.stdout.flush()  # the next check may wait for a timeout
