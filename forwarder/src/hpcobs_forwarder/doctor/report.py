"""Run all checks and print their findings."""

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
    """Print the findings. Return 1 if something does not work, else 0."""
    print(f"hpcobs-forwarder {__version__}, role {config.role}, node {config.node}")  # noqa: T201
    levels: list[str] = []
    for finding in examine(config):
        levels.append(finding.level)
        sys.stdout.write(_lines(finding))
        sys.stdout.flush()  # the next check may wait for a timeout
    failures, warnings = levels.count(FAILURE), levels.count(WARNING)
    sys.stdout.write(f"{failures} failures, {warnings} warnings\n")
    return 1 if failures else 0


def examine(config: Config) -> Iterator[Finding]:
    """Yield all findings, in the order in which data passes the parts."""
    if config.role == NODE:
        yield from node.examine(config)
    else:
        yield from slurm.examine(config)
    yield from hooks.examine(config)
    yield from spool.examine(config)
    yield from site.examine(config)
    yield from cluster.examine(config)


def _lines(finding: Finding) -> str:
    fix = f"      fix: {finding.fix}\n" if finding.fix else ""
    return f"{finding.level:>4}  {finding.text}\n{fix}"
