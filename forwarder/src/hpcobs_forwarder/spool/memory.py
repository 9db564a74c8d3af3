"""Batches that no disk accepts. They wait in memory, and are written as soon as there is room."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING

from hpcobs_forwarder.spool.batch import decode

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.entries import Entry

_log = logging.getLogger(__name__)

MEMORY_BYTES = 4 << 20
"""Limit for batches in memory, while the disk is full."""

_TIME = re.compile(rb'"timestamp":"([^"]+)"')


class MemoryQueue:
    """A bounded queue of batches. The sampler's thread adds, the sender's thread removes.

    ``undeleted`` has the paths of files that were sent and that a read-only disk does not remove.
    """

    def __init__(self) -> None:
        """Create an empty queue."""
        self._lock = threading.Lock()
        self._entries: list[Entry] = []
        self.undeleted: set[str] = set()

    def add(self, entry: Entry) -> list[Entry]:
        """Add ``entry``. Return the oldest entries, which were dropped to make room."""
        dropped: list[Entry] = []
        with self._lock:
            if not entry.samples:
                # A batch without samples is the state of a node: only the newest is of use.
                node = _node_of(entry)
                self._entries = [
                    one for one in self._entries if one.samples or _node_of(one) != node
                ]
            self._entries.append(entry)
            while sum(one.size for one in self._entries) > MEMORY_BYTES:
                dropped.append(self._entries.pop(0))
        return dropped

    def remove(self, entry: Entry) -> bool:
        """Remove ``entry``. Return whether it was still queued."""
        with self._lock:
            before = len(self._entries)
            self._entries = [one for one in self._entries if one.name != entry.name]
            return len(self._entries) < before

    def entries(self) -> list[Entry]:
        """Return the queued batches, oldest first."""
        with self._lock:
            return list(self._entries)

    def lose(self, health: Health) -> int:
        """Count and log the samples that are in memory when the forwarder ends. Return how many."""
        lost = [entry for entry in self.entries() if entry.samples]
        if not lost:
            return 0
        samples = sum(entry.samples for entry in lost)
        times = [time for entry in lost for time in _TIME.findall(entry.read())]
        health.add("samples_dropped_total", samples, label="stop")
        _log.error(
            "%d samples from %s to %s are lost: they were in memory, and no disk accepted them; "
            "free some space for the spool",
            samples,
            min(times, default=b"?").decode("ascii", "replace"),
            max(times, default=b"?").decode("ascii", "replace"),
        )
        for entry in lost:
            self.remove(entry)
        return samples


def _node_of(entry: Entry) -> object:
    return decode(entry.read()).opening.get("node")
