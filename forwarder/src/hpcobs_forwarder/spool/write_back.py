"""Moves entries from memory and from the fallback folder to a disk that has room again."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.spool.entries import BATCH_ENDINGS, EVENT, EVENT_ENDINGS, Entry, write_whole

if TYPE_CHECKING:
    from hpcobs_forwarder.spool.memory import MemoryQueue
    from hpcobs_forwarder.spool.place import Place
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)


_AT_ONCE = 200
"""How many entries are moved at a time: each waits for the disk, and a pass must not be late."""


def write_back(spool: Spool, memory: MemoryQueue, wall: float) -> None:
    """Move the oldest entries to the first folder that accepts them.

    Leave out the events that a hook may be posting at ``wall``.
    """
    places = spool.places()
    for number, place in enumerate(places):
        entries = [*memory_of(memory), *entries_in(spool, places[number + 1 :], wall)]
        entries.sort(key=lambda entry: entry.name)
        if _moved(spool, memory, entries[:_AT_ONCE], place, sync=spool.sync):
            return


def empty_memory(spool: Spool, memory: MemoryQueue) -> None:
    """Write all that is in memory to the first folder that accepts it."""
    for place in spool.places():
        # Without waiting for the disk at each file: a stop has little time.
        if _moved(spool, memory, memory_of(memory), place, sync=False):
            return


def _moved(
    spool: Spool, memory: MemoryQueue, entries: list[Entry], place: Place, *, sync: bool
) -> bool:
    """Return False if the folder does not accept all ``entries``."""
    try:
        moved = sum(_move(spool, memory, entry, place, sync=sync) for entry in entries)
    except OSError as error:
        _log.debug("%s cannot be written: %s", place.folder, error)
        return False
    if moved:
        _log.info("%d files were moved to %s", moved, place.folder)
    return True


def memory_of(memory: MemoryQueue) -> list[Entry]:
    """Return the batches in memory, oldest first, without those that have no samples."""
    return sorted(
        (entry for entry in memory.entries() if entry.samples), key=lambda entry: entry.name
    )


def entries_in(spool: Spool, places: list[Place], wall: float | None = None) -> list[Entry]:
    """Return the entries in ``places``, without the events that a hook may be posting."""
    entries: list[Entry] = []
    for place in places:
        events = spool.listed([place.events], EVENT_ENDINGS)
        entries += [one for one in events if wall is None or not one.is_with_hook(wall)]
        entries += spool.listed([place.samples], BATCH_ENDINGS)
    return entries


def _move(spool: Spool, memory: MemoryQueue, entry: Entry, place: Place, *, sync: bool) -> bool:
    """Return False if the entry was sent meanwhile. Raise OSError if the disk is full."""
    folder = place.events if entry.kind == EVENT else place.samples
    try:
        data = entry.raw()
    except FileNotFoundError:
        return False  # its hook or the sender has just sent it
    write_whole(f"{folder}/{entry.name}", data, sync=sync)
    if _take_away(memory, entry):
        return True
    spool.delete(f"{folder}/{entry.name}")  # else it would be sent again
    return False


def _take_away(memory: MemoryQueue, entry: Entry) -> bool:
    """Remove the entry from its present place. Return False if it was not there any more."""
    if entry.data is not None:
        return memory.remove(entry)
    try:
        os.unlink(entry.path)
    except FileNotFoundError:
        return False
    return True
