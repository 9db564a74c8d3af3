"""The composition root: the only place that knows which parts a forwarder is made of."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from hpcobs_forwarder.clock import Clock, SystemClock
from hpcobs_forwarder.cluster import name_in_slurm_conf
from hpcobs_forwarder.config import NODE
from hpcobs_forwarder.health import Health
from hpcobs_forwarder.loop import Forwarder
from hpcobs_forwarder.node.cgroups.discovery import Discovery
from hpcobs_forwarder.node.gpus.detection import Gpus
from hpcobs_forwarder.node.host import boot_id
from hpcobs_forwarder.node.records import Records
from hpcobs_forwarder.node.sampler import Sampler, Sources
from hpcobs_forwarder.node.work import NodeWork
from hpcobs_forwarder.sending.backoff import Backoff
from hpcobs_forwarder.sending.gateway import Gateway
from hpcobs_forwarder.sending.sender import Sender
from hpcobs_forwarder.sending.thread import SenderThread
from hpcobs_forwarder.sending.token import TokenFile
from hpcobs_forwarder.spool.spool import Spool
from hpcobs_forwarder.spool.upkeep import Limits, Upkeep
from hpcobs_forwarder.spool.writer import BatchWriter

if TYPE_CHECKING:
    from hpcobs_forwarder.config import Config
    from hpcobs_forwarder.loop import Work
    from hpcobs_forwarder.signals import Signals


def sources(config: Config) -> Sources:
    """Where the node's readings come from."""
    root = config.root.rstrip("/")
    return Sources(
        root=root,
        discovery=Discovery(root, config.node),
        records=Records(f"{config.spool_dir}/jobs"),
        gpus=Gpus(config.gpus, root),
    )


def gateway(config: Config) -> Gateway:
    """The site's API."""
    return Gateway(
        config.url,
        timeout_seconds=config.timeout_seconds,
        ca_file=config.ca_file,
        client_cert_file=config.client_cert_file,
        proxy=config.proxy,
    )


class Parts:
    """The parts of one forwarder, for the daemon and for a single pass."""

    def __init__(
        self, config: Config, clock: Clock | None = None, signals: Signals | None = None
    ) -> None:
        """Nothing is opened yet."""
        self.config = config
        self._interruptible = signals.interrupting if signals else nullcontext
        self.clock = clock or SystemClock()
        self.health = Health()
        self.stopping = threading.Event()
        self.spool = Spool(config.spool_dir, sync=config.spool_fsync, health=self.health)
        self.upkeep = Upkeep(
            self.spool,
            Limits(config.spool_max_mb << 20, config.spool_max_age_hours * 3600),
            health=self.health,
            clock=self.clock,
            boot_id=boot_id(config.root.rstrip("/")),
        )
        self.sender = Sender(
            spool=self.spool,
            gateway=gateway(config),
            token=TokenFile(config.token_file),
            backoff=Backoff(),
            health=self.health,
            clock=self.clock,
            stopping=self.stopping,
        )

    def node_work(self) -> NodeWork:
        """What the node role does."""
        where = sources(self.config)
        sampler = Sampler(
            where,
            interval_seconds=self.config.interval_seconds,
            health=self.health,
            clock=self.clock,
        )
        return NodeWork(
            sampler,
            BatchWriter(self.spool, self.config.node, self.clock),
            records=where.records,
            cluster_name=self.config.cluster_name,
            fallback_cluster_name=name_in_slurm_conf(self.config.root),
            push_seconds=self.config.push_seconds,
            clock=self.clock,
        )

    def work(self) -> Work:
        """What the configured role does."""
        if self.config.role == NODE:
            return self.node_work()
        from hpcobs_forwarder.controller.compose import controller_work

        return controller_work(
            self.config, self.spool, self.health, self.clock, self._interruptible
        )

    def forwarder(self) -> Forwarder:
        """The daemon."""
        return Forwarder(
            work=self.work(),
            interval_seconds=self.config.interval_seconds,
            spool=self.spool,
            upkeep=self.upkeep,
            sender=SenderThread(self.sender, self.upkeep, self.stopping),
            health=self.health,
            clock=self.clock,
            textfile=self.config.textfile,
        )
