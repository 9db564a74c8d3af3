"""Check that Slurm responds to the controller role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs_forwarder.clock import SystemClock
from hpcobs_forwarder.controller.compose import slurm_source
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config


def examine(config: Config) -> Iterator[Finding]:
    """Check slurmctld and the accounting database."""
    clock = SystemClock()
    source = slurm_source(config, clock)
    try:
        jobs, nodes = source.jobs(), source.nodes()
    except SourceError as error:
        yield failure(
            f"slurmctld cannot be queried by {source.name}: {error}",
            "set SLURM_BASE_URL and SLURM_AUTH_* in the configuration, or run this on a host where "
            "`scontrol show jobs` works",
        )
    else:
        yield ok(
            f"slurmctld, queried by {source.name}, has {len(jobs)} jobs and {len(nodes)} nodes"
        )
    try:
        ended = Sacct().ended(clock.wall() - 3600, clock.wall())
    except SourceError as error:
        yield warning(
            f"the accounting database cannot be queried: {error}",
            "start slurmdbd, or accept that jobs that end while the forwarder is stopped are known "
            "from their epilogs only",
        )
    else:
        yield ok(f"the accounting database has {len(ended)} jobs of the last hour")
