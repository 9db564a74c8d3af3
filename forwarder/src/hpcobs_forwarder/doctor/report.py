"""All findings, as text for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from hpcobs_forwarder import __version__
from hpcobs_forwarder.daemon.config import NODE
from hpcobs_forwarder.doctor import cluster, hooks, node, site, slurm, spool
from hpcobs_forwarder.doctor.finding import FAILURE, WARNING, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config


def report(config: Config) -> int:
    """Prints what was found; 1 if something cannot work."""
    print(f"hpcobs-forwarder {__version__}, role {config.role}, node {config.node}")  # noqa: T201
    levels: list[str] = []
    for finding in examine(config):
        levels.append(finding.level)
        sys.stdout.write(_lines(finding))
        sys.stdout.flush()  # the next one may have to wait for somebody's answer
    bad, poor = levels.count(FAILURE), levels.count(WARNING)
    summary = f"{bad} cannot work, {poor} could work better" if bad or poor else "all is well"
    sys.stdout.write(f"{summary}\n")
    return 1 if bad else 0


def examine(config: Config) -> Iterator[Finding]:
    """Everything the doctor finds, in the order of the way that data takes."""
    if config.role == NODE:
        yield from node.examine(config)
    else:
        yield from slurm.examine(config)
    yield from hooks.examine(config)
    yield from spool.examine(config)
    yield from site.examine(config)
    yield from cluster.examine(config)


def _lines(finding: Finding) -> str:
    mend = f"       mend: {finding.mend}\n" if finding.mend else ""
    return f"{finding.level:>4}  {finding.text}\n{mend}"
