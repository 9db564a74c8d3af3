"""The node role's work: samples every interval, a batch every push."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.node.records import Records
    from hpcobs_forwarder.node.sampler import Sampler
    from hpcobs_forwarder.spool.journal import BatchWriter


class NodeWork:
    """Takes samples, and hands a batch to the spool every ``push_seconds``."""

    def __init__(
        self,
        sampler: Sampler,
        writer: BatchWriter,
        *,
        records: Records,
        cluster_name: str | None,
        fallback_cluster_name: str | None,
        push_seconds: float,
        clock: Clock,
    ) -> None:
        """Read nothing yet."""
        self.sampler = sampler
        self._writer = writer
        self._records = records
        self._cluster_name = cluster_name
        self._fallback_cluster_name = fallback_cluster_name
        self._push_seconds = push_seconds
        self._clock = clock
        # Nodes that were booted together must not all push in the same second.
        self._push_at = clock.uptime() + random.uniform(0, push_seconds)  # noqa: S311 - no secret

    def tick(self) -> None:
        """Sample all jobs, and complete the batch if a push is due."""
        taken = self.sampler.take()
        self._writer.add(taken.samples, taken.host, self.cluster_name())
        now = self._clock.uptime()
        if now >= self._push_at:
            self._push_at = now + self._push_seconds
            self._writer.seal(self.cluster_name())

    def close(self) -> None:
        """Hand the last batch to the spool."""
        self._writer.seal(self.cluster_name())

    def cluster_name(self) -> str | None:
        """Return the configured cluster name, else the Prolog's, else the one in slurm.conf."""
        # Events and samples of a job must name the same cluster. The hooks prefer the configured
        # name and fall back to Slurm's, which the Prolog's record repeats.
        if self._cluster_name:
            return self._cluster_name
        names = (record.cluster_name for record in self._records.all())
        return next(filter(None, names), self._fallback_cluster_name)
