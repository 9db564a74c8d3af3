"""Creates the parts of the controller role."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from hpcobs_forwarder.controller.backfill import Backfill
from hpcobs_forwarder.controller.commands import Commands
from hpcobs_forwarder.controller.process import run
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.slurm_token import SlurmToken
from hpcobs_forwarder.controller.slurmrestd import Slurmrestd
from hpcobs_forwarder.controller.sync import ControllerWork
from hpcobs_forwarder.sending.http_client import HttpClient
from hpcobs_forwarder.slurm_conf import cluster_name_in_slurm_conf

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.controller.source import Source
    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool

_MAX_RESPONSE_BYTES = 1 << 30
"""slurmrestd lists all jobs in one response: some kilobytes each, and there may be 100,000."""


def slurm_source(config: Config, clock: Clock) -> Source:
    """Return slurmrestd as the source if it is configured, else Slurm's commands."""
    if config.slurmrestd_url is None:
        return Commands()
    client = HttpClient(
        config.slurmrestd_url,
        timeout_seconds=60.0,
        ca_file=config.ca_file,
        max_response_bytes=_MAX_RESPONSE_BYTES,
    )
    token = SlurmToken(
        file=config.slurm_token_file, command=config.slurm_token_command, run=run, clock=clock
    )
    return Slurmrestd(client, token, user=config.slurm_user, version=config.slurmrestd_version)


def controller_work(
    config: Config,
    spool: Spool,
    health: Health,
    clock: Clock,
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> ControllerWork:
    """Return the work of the controller role."""
    return ControllerWork(
        slurm_source(config, clock),
        Backfill(Sacct(), f"{spool.folder}/synchronised.json", spool.fallback),
        spool=spool,
        cluster_name=config.cluster_name,
        fallback_cluster_name=cluster_name_in_slurm_conf(config.root),
        health=health,
        clock=clock,
        interruptible=interruptible,
    )
