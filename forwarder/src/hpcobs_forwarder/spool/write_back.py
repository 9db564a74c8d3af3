"""Moves entries from memory and from the fallback folder to a disk that has room again."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from hpcobs_forwarder.spool.entries import EVENT, EVENT_ENDINGS, Entry, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs_forwarder.spool.memory import MemoryQueue
    from hpcobs_forwarder.spool.place import Place
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)


_AT_ONCE = 200
"""How many entries are moved at a time: each waits for the disk, and a pass must not be late."""


def write_back(
    spool: Spool, memory: MemoryQueue, entries_in: Callable[[list[Place]], list[Entry]]
) -> None:
    """Move the oldest entries to the first folder that accepts them.

    ``entries_in`` returns what is in memory, and in these folders.
    """
    places = spool.places()
    for number, place in enumerate(places):
        entries = entries_in(places[number + 1 :])
        try:
            moved = sum(_move(spool, memory, entry, place) for entry in entries[:_AT_ONCE])
        except OSError as error:
            _log.debug("%s cannot be written: %s", place.folder, error)
            continue
        if moved:
            _log.info("%d files were moved to %s", moved, place.folder)
        return


def outside(
    spool: Spool, memory: MemoryQueue, places: list[Place], wall: float | None
) -> list[Entry]:
    """Return the entries in memory and in ``places``, oldest first.

    Leave out the events that a hook may be posting at ``wall``.
    """
    entries = [one for one in memory.entries() if one.samples]
    for place in places:
        events = spool.listed([place.events], EVENT_ENDINGS)
        entries += [one for one in events if wall is None or not one.is_with_hook(wall)]
        entries += spool.listed([place.samples], (".batch", ".batch.gz"))
    return sorted(entries, key=lambda entry: entry.name)


def _move(spool: Spool, memory: MemoryQueue, entry: Entry, place: Place) -> bool:
    """Return False if the entry was sent meanwhile. Raise OSError if the disk is full."""
    folder = place.events if entry.kind == EVENT else place.samples
    try:
        data = entry.raw()
    except FileNotFoundError:
        return False  # its hook or the sender has just sent it
    write_whole(f"{folder}/{entry.name}", data, sync=spool.sync)
    if _take_away(memory, entry):
        return True
    os.unlink(f"{folder}/{entry.name}")  # else it would be sent again
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
