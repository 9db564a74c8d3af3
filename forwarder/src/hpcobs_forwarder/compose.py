"""The composition root: the only module that creates the parts of a forwarder."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from hpcobs_forwarder.clock import Clock, SystemClock
from hpcobs_forwarder.daemon.config import NODE
from hpcobs_forwarder.daemon.health import Health
from hpcobs_forwarder.daemon.loop import Forwarder, SenderThread, write_health
from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.gpus.detection import Gpus
from hpcobs_forwarder.node.host import boot_id
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import NodeWork, Sampler, Sources
from hpcobs_forwarder.sending.http_client import HttpClient, TokenFile
from hpcobs_forwarder.sending.retry_policy import RetryState
from hpcobs_forwarder.sending.sender import Sender
from hpcobs_forwarder.slurm_conf import cluster_name_in_slurm_conf
from hpcobs_forwarder.spool.fallback import Fallback
from hpcobs_forwarder.spool.janitor import Limits, SpoolJanitor
from hpcobs_forwarder.spool.journal import BatchWriter
from hpcobs_forwarder.spool.memory import MemoryQueue
from hpcobs_forwarder.spool.spool import Spool

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.config import Config
    from hpcobs_forwarder.daemon.loop import Work
    from hpcobs_forwarder.daemon.signals import Signals


def sources(
    config: Config, fallback: Fallback | None = None, *, every_pass: bool = False
) -> Sources:
    """Return the sources of the node's readings. ``every_pass`` reads slow ones in each pass."""
    root = config.root.rstrip("/")
    fallback = fallback or Fallback(config.fallback_dir)
    return Sources(
        root=root,
        discovery=Discovery(root, config.node),
        records=Records(f"{config.spool_dir}/jobs", fallback),
        gpus=Gpus(config.gpus, root, every_pass=every_pass),
        node=config.node,
        spool=config.spool_dir,
        fallback=fallback,
        # A person who looks at a job that has just started sees what it uses now.
        is_patient=not every_pass,
    )


def site_client(config: Config) -> HttpClient:
    """Return a client for the site's API."""
    return HttpClient(
        config.url,
        timeout_seconds=config.timeout_seconds,
        ca_file=config.ca_file,
        client_cert_file=config.client_cert_file,
        proxy=config.proxy,
    )


class Kept:
    """What outlives a reload: batches that no disk accepts, and the counters."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.memory = MemoryQueue()
        self.health = Health()
        self.textfile: str | None = None

    def end(self) -> None:
        """Count what is still in memory as lost, for the health file and the log."""
        # Without a loss the file stays as it is: it may be that of another forwarder.
        if self.memory.lose(self.health):
            write_health(self.textfile, self.health)


def _spool(config: Config, fallback: Fallback, kept: Kept) -> Spool:
    return Spool(
        config.spool_dir,
        sync=config.spool_fsync,
        health=kept.health,
        fallback=fallback,
        memory=kept.memory,
    )


class Parts:
    """The parts of one forwarder, for the daemon and for a single pass."""

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        signals: Signals | None = None,
        *,
        kept: Kept | None = None,
    ) -> None:
        """Create the parts of both roles without opening files or connections.

        ``kept`` has what the forwarder has in memory from before a reload.
        """
        self.config = config
        self.kept = kept or Kept()
        self.kept.textfile = config.textfile
        self._interruptible = signals.interrupting if signals else nullcontext
        self.clock = clock or SystemClock()
        self.health = self.kept.health
        self.stopping = threading.Event()
        self.fallback = Fallback(config.fallback_dir)
        self.spool = _spool(config, self.fallback, self.kept)
        self.janitor = SpoolJanitor(
            self.spool,
            Limits(config.spool_max_mb << 20, config.spool_max_age_hours * 3600),
            health=self.health,
            clock=self.clock,
            boot_id=boot_id(config.root.rstrip("/")),
        )
        self.sender = Sender(
            spool=self.spool,
            client=site_client(config),
            token=TokenFile(config.token_file),
            state=RetryState(),
            health=self.health,
            clock=self.clock,
            stopping=self.stopping,
        )

    def node_work(self, *, every_pass: bool = False) -> NodeWork:
        """Return the work of the node role. ``every_pass`` reads slow sources in each pass."""
        node_sources = sources(self.config, self.fallback, every_pass=every_pass)
        sampler = Sampler(
            node_sources,
            interval_seconds=self.config.interval_seconds,
            health=self.health,
            clock=self.clock,
        )
        return NodeWork(
            sampler,
            BatchWriter(self.spool, self.config.node, self.clock),
            records=node_sources.records,
            cluster_name=self.config.cluster_name,
            fallback_cluster_name=cluster_name_in_slurm_conf(self.config.root),
            push_seconds=self.config.push_seconds,
            clock=self.clock,
        )

    def work(self) -> Work:
        """Return the work of the configured role."""
        if self.config.role == NODE:
            return self.node_work()
        # Here: the node role should not pay memory for the controller role.
        from hpcobs_forwarder.controller.compose import controller_work

        return controller_work(
            self.config, self.spool, self.health, self.clock, self._interruptible
        )

    def forwarder(self) -> Forwarder:
        """Return the daemon."""
        return Forwarder(
            work=self.work(),
            interval_seconds=self.config.interval_seconds,
            spool=self.spool,
            janitor=self.janitor,
            sender=SenderThread(self.sender, self.janitor, self.stopping),
            health=self.health,
            clock=self.clock,
            textfile=self.config.textfile,
        )
