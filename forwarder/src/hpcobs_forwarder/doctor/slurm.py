"""Whether Slurm answers the controller role."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs_forwarder.clock import SystemClock
from hpcobs_forwarder.controller.commands import Sacct
from hpcobs_forwarder.controller.compose import slurm_source
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.doctor.finding import Finding, failure, ok, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.daemon.config import Config


def examine(config: Config) -> Iterator[Finding]:
    """Slurmctld and the accounting database."""
    clock = SystemClock()
    source = slurm_source(config, clock)
    try:
        jobs, nodes = source.jobs(), source.nodes()
    except SourceError as error:
        yield failure(
            f"{source.name}: {error}",
            "set SLURM_BASE_URL and SLURM_AUTH_*, or run this where scontrol works",
        )
    else:
        yield ok(f"{source.name}: {len(jobs)} jobs on {len(nodes)} nodes")
    try:
        ended = Sacct().since(clock.wall() - 3600, clock.wall())
    except SourceError as error:
        yield warning(
            f"accounting: {error}",
            "without slurmdbd, jobs that end while this does not run are known by epilogs only",
        )
    else:
        yield ok(f"accounting: {len(ended)} jobs within the last hour")
