"""Batches that wait in memory, for the time that the disk takes none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs_forwarder.spool.entries import Entry

MEMORY_BYTES = 4 << 20
"""What is kept at most."""


class MemoryQueue:
    """A bounded queue; the sampler adds to it while the sender takes from it."""

    def __init__(self) -> None:
        """Empty."""
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> list[Entry]:
        """Adds ``entry``; the oldest ones that had to go for it.

        A batch without samples is the host's word, of which only the newest is worth sending.
        """
        gone: list[Entry] = []
        with self._lock:
            if not entry.samples:
                self._entries = [one for one in self._entries if one.samples]
            self._entries.append(entry)
            while sum(one.size for one in self._entries) > MEMORY_BYTES:
                gone.append(self._entries.pop(0))
        return gone

    def remove(self, entry: Entry) -> None:
        """Takes out ``entry``, if it is still there."""
        with self._lock:
            self._entries = [one for one in self._entries if one.name != entry.name]

    def entries(self) -> list[Entry]:
        """What waits, oldest first."""
        with self._lock:
            return list(self._entries)
