"""From passes to batches: each pass is on disk before the next; a batch is sealed to be sent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.spool.batch import host_line, opening_line, samples_line
from hpcobs_forwarder.spool.entries import batch_name
from hpcobs_forwarder.spool.ids import new_uuid
from hpcobs_forwarder.spool.journal import Journal

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

JOURNAL = "open.journal"
MAX_SAMPLES = 5000
"""The contract's limit for one batch."""

_MAX_BYTES = 1 << 20


class BatchWriter:
    """Writes ``node``'s passes to the spool."""

    def __init__(self, spool: Spool, node: str, clock: Clock) -> None:
        """Nothing is written yet."""
        self._spool = spool
        self._node = node
        self._clock = clock
        self._journal: Journal | None = None
        self._host: dict[str, Any] = {}
        self._disk_failed = False

    def add(
        self, samples: list[dict[str, Any]], host: dict[str, Any], cluster_name: str | None
    ) -> None:
        """Adds one pass; it is durable when this returns, as far as the disk allows."""
        self._host = host
        for start in range(0, len(samples), MAX_SAMPLES):
            self._add(samples[start : start + MAX_SAMPLES], cluster_name)

    def _add(self, samples: list[dict[str, Any]], cluster_name: str | None) -> None:
        journal = self._journal
        if journal is not None and (
            journal.samples + len(samples) > MAX_SAMPLES or journal.bytes > _MAX_BYTES
        ):
            self.seal(cluster_name)
            journal = None
        if journal is None:
            path = f"{self._spool.samples}/{JOURNAL}"
            self._journal = journal = Journal(path, sync=self._spool.sync)
            journal.buffer(opening_line(self._node, cluster_name))
        journal.buffer(samples_line(samples), len(samples))
        try:
            journal.flush()
        except OSError as error:
            self._say(error)
        else:
            self._disk_failed = False

    def seal(self, cluster_name: str | None) -> None:
        """Lets the batch go to the sender. Without samples it is the host's word only.

        That is kept in memory: it is of no use later, and an idle node should not write to disk.
        """
        journal, self._journal = self._journal, None
        samples = 0 if journal is None else journal.samples
        name = batch_name(self._clock.wall(), samples, new_uuid()[:8])
        if journal is None:
            if self._host:
                lines = opening_line(self._node, cluster_name) + host_line(self._host)
                self._spool.keep_in_memory(name, lines)
            return
        if self._host:
            journal.buffer(host_line(self._host))
        try:
            journal.seal(f"{self._spool.samples}/{name}")
        except OSError as error:
            self._say(error)
            self._spool.keep_in_memory(name, journal.give_up())

    def _say(self, error: OSError) -> None:
        if not self._disk_failed:
            _log.error("the spool takes nothing, samples stay in memory: %s", error)
        self._disk_failed = True
