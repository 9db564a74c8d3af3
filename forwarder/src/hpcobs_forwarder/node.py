"""The node role: samples every interval, a batch every push."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.records import Records
    from hpcobs_forwarder.sampling import Sampler
    from hpcobs_forwarder.spool.journal import BatchWriter


class NodeWork:
    """Takes samples and lets a batch go every ``push_seconds``.

    The first batch goes at a random moment, so that nodes booted together do not push together.
    """

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
        """Nothing is read yet."""
        self.sampler = sampler
        self._writer = writer
        self._records = records
        self._cluster_name = cluster_name
        self._fallback_cluster_name = fallback_cluster_name
        self._push_seconds = push_seconds
        self._clock = clock
        self._push_at = clock.uptime() + random.uniform(0, push_seconds)  # noqa: S311 - no secret

    def tick(self) -> None:
        """One pass, and a batch if it is time."""
        taken = self.sampler.take()
        self._writer.add(taken.samples, taken.host, self.cluster_name())
        now = self._clock.uptime()
        if now >= self._push_at:
            self._push_at = now + self._push_seconds
            self._writer.seal(self.cluster_name())

    def close(self) -> None:
        """Lets the last batch go to the spool."""
        self._writer.seal(self.cluster_name())

    def cluster_name(self) -> str | None:
        """The cluster as configured, else as the Prolog was told, else as slurm.conf has it."""
        if self._cluster_name:
            return self._cluster_name
        names = (record.cluster_name for record in self._records.all())
        return next(filter(None, names), self._fallback_cluster_name)
