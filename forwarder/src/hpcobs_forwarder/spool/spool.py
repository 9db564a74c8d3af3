"""The spool folder: which entries are queued, in which order, and which are in quarantine."""

from __future__ import annotations

import fcntl
import gzip
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from hpcobs_forwarder.spool.entries import (
    BATCH_ENDINGS,
    EVENT,
    EVENT_ENDINGS,
    Entry,
    listed,
    write_whole,
)
from hpcobs_forwarder.spool.fallback import NO_FALLBACK, Fallback
from hpcobs_forwarder.spool.folders import SpoolError, check_owner, make, open_lock
from hpcobs_forwarder.spool.memory import MEMORY_BYTES, MemoryQueue
from hpcobs_forwarder.spool.place import Place
from hpcobs_forwarder.spool.write_back import empty_memory, entries_in, memory_of, write_back

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health

__all__ = ["MEMORY_BYTES", "Spool", "SpoolError"]

_log = logging.getLogger(__name__)

_COMPRESSION = 6


class Spool:
    """One forwarder's spool folder. ``sync`` makes written files survive a power cut.

    What its disk does not accept is in the ``fallback`` folder, and else in ``memory``.
    """

    def __init__(
        self,
        folder: str,
        *,
        sync: bool,
        health: Health,
        fallback: Fallback = NO_FALLBACK,
        memory: MemoryQueue | None = None,
    ) -> None:
        """Set the paths. ``open`` is the first to touch the disk."""
        own = Place(folder)
        self.folder = folder
        self.sync = sync
        self.jobs, self.events, self.samples = own.jobs, own.events, own.samples
        self.quarantined = f"{folder}/quarantine"
        self.fallback = fallback
        self._health = health
        self._lock = -1
        self._memory = MemoryQueue() if memory is None else memory

    def places(self) -> list[Place]:
        """Return the folders with queued files: the spool's own is the first."""
        return [Place(folder) for folder in (self.folder, *self.fallback.folders())]

    def open(self) -> None:
        """Make the folders and lock them. Raise SpoolError if that fails."""
        try:
            check_owner(self.folder)
            self._make_own_folders()
            self._lock = open_lock(f"{self.folder}/lock")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolError(f"{self.folder} is in use by another forwarder") from None
        except OSError as error:
            raise SpoolError(f"the spool cannot be used: {error}") from error
        self.fallback.open()
        self.make_folders()

    def make_folders(self) -> None:
        """Make the folders that do not exist, as far as the disks allow it."""
        with suppress(OSError):
            self._make_own_folders()
        with suppress(OSError):  # it is in memory, which may be full
            for place in self.places()[1:]:
                make((place.jobs, place.events, place.samples))

    def _make_own_folders(self) -> None:
        # The spool's own folder comes first: `mode` does not count for folders in between.
        make((self.folder, self.jobs, self.events, self.samples, self.quarantined))

    def close(self) -> None:
        """Write what is in memory, if a disk accepts it, and release the folders."""
        # The next start finds what is in the fallback folder.
        empty_memory(self, self._memory)
        os.close(self._lock)
        self.fallback.close()

    def keep_in_memory(self, name: str, data: bytes) -> None:
        """Queue a batch in memory. Over the limit, the oldest batches are dropped and counted."""
        for entry in self._memory.add(Entry(name, "", len(data), 0.0, data)):
            self.dropped(entry, "memory")

    def write_event(self, name: str, data: bytes) -> str:
        """Write an event to the first folder that accepts it. Return its path. Raise OSError."""
        first, *others = [f"{place.events}/{name}" for place in self.places()]
        try:
            write_whole(first, data, sync=self.sync)
        except OSError:
            if not others:
                raise
            write_whole(others[0], data, sync=False)
            return others[0]
        return first

    def write_back(self, wall: float) -> None:
        """Move what is in memory or in the fallback folder to the disk, oldest first.

        A disk that is still full ends it. Events that a hook may be posting at ``wall`` stay.
        """
        self._delete_again()
        write_back(self, self._memory, wall)

    def elsewhere(self) -> list[Entry]:
        """Return the batches that are not in the spool folder, oldest first."""
        entries = [*memory_of(self._memory), *entries_in(self, self.places()[1:])]
        return sorted((one for one in entries if one.kind != EVENT), key=lambda one: one.name)

    def waiting_events(self) -> list[Entry]:
        """Return the queued events, oldest first."""
        return self.listed([place.events for place in self.places()], EVENT_ENDINGS)

    def waiting_batches(self) -> list[Entry]:
        """Return the sealed batches, oldest first."""
        folders = [place.samples for place in self.places()]
        on_disk, in_memory = self.listed(folders, BATCH_ENDINGS), self._memory.entries()
        if not in_memory:
            return on_disk
        names = {entry.name for entry in on_disk}  # one may be on its way
        waiting = [*on_disk, *(entry for entry in in_memory if entry.name not in names)]
        return sorted(waiting, key=lambda entry: entry.name)

    def listed(self, folders: list[str], endings: tuple[str, ...]) -> list[Entry]:
        """Return the files of all ``folders``, oldest first, without those that were sent."""
        filled = [entries for folder in folders if (entries := listed(folder, endings))]
        entries = filled[0] if filled else []
        if len(filled) > 1:
            # A kill during a move leaves two copies. The dict keeps that of the first folder.
            copies = {entry.name: entry for more in reversed(filled) for entry in more}
            entries = [copies[name] for name in sorted(copies)]
        sent = self._memory.undeleted
        return [entry for entry in entries if entry.path not in sent] if sent else entries

    def remove(self, entry: Entry) -> None:
        """Remove an entry that was sent or dropped, also if it was moved since it was listed."""
        if entry.data is not None:
            self._memory.remove(entry)
        if entry.folder == self.quarantined:
            self.delete(entry.path)
            return
        folder = "events" if entry.kind == EVENT else "samples"
        for place in self.places():
            self.delete(f"{place.folder}/{folder}/{entry.name}")

    def delete(self, path: str) -> None:
        """Remove a file. If the disk is read-only, leave it out of the queue, and try again."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass  # a hook has sent it as well
        except OSError as error:
            if not os.path.lexists(path):
                return  # the kernel finds the disk read-only before it looks for the file
            # Without this note it would be sent in each drain.
            if not self._memory.undeleted:
                _log.error("%s cannot be removed: %s", path, error)
            self._memory.undeleted.add(path)

    def _delete_again(self) -> None:
        for path in list(self._memory.undeleted):
            with suppress(OSError):
                os.unlink(path)
            if not os.path.lexists(path):
                self._memory.undeleted.discard(path)

    def keep_for_later(self, entry: Entry) -> None:
        """Prepare a batch for a long wait: compress its samples, or drop it if it has none."""
        if entry.kind == EVENT:
            return
        if entry.samples:
            self.compress(entry)
        elif entry.data is not None:
            self.remove(entry)  # only the state of the host at a time that has passed

    def compress(self, entry: Entry) -> None:
        """Compress a batch file to about a tenth, if the disk has room for the copy."""
        if entry.data is not None or entry.name.endswith(".gz"):
            return
        try:
            packed = gzip.compress(entry.read(), _COMPRESSION)
            write_whole(entry.path + ".gz", packed, sync=self.sync)
        except FileNotFoundError:
            return  # it was moved meanwhile
        except OSError as error:
            _log.warning("%s stays uncompressed: %s", entry.name, error)
            return
        try:
            os.unlink(entry.path)
        except FileNotFoundError:
            os.unlink(entry.path + ".gz")  # it was moved meanwhile: one copy is enough

    def pack(self, at_most: int = 100) -> None:
        """Compress the oldest plain batches, at most so many per call."""
        # After a restart in an outage there may be thousands: all at once would take minutes.
        plain = [entry for entry in self.listed([self.samples], (".batch",)) if entry.samples]
        for entry in plain[:at_most]:
            self.compress(entry)

    def replace(self, entry: Entry, parts: tuple[tuple[str, bytes], ...]) -> bool:
        """Replace a batch that is too large by ``parts``: pairs of name and content.

        Return False if the disk has no room for them. Then the batch stays as it is.
        """
        written: list[str] = []
        try:
            for name, data in parts:
                if entry.data is not None:
                    self.keep_in_memory(name, data)
                    continue
                written.append(f"{os.path.dirname(entry.path)}/{name}")
                write_whole(written[-1], data, sync=self.sync)
        except OSError as error:
            _log.debug("%s stays whole: %s", entry.name, error)
            for path in written:
                with suppress(FileNotFoundError):
                    os.unlink(path)
            return False
        # Last: a crash before this sends samples twice, which the site ignores, and loses none.
        self.remove(entry)
        return True

    def quarantine(self, entry: Entry, label: str, reason: str) -> None:
        """Move an entry to the quarantine, with the reason in a file beside it, and count it."""
        _log.error("%s was moved to %s: %s", entry.name, self.quarantined, reason)
        path = f"{self.quarantined}/{entry.name}"
        try:
            if os.path.dirname(os.path.dirname(entry.path)) == self.folder:
                os.rename(entry.path, path)
            else:  # in memory, or on another disk
                write_whole(path, entry.raw(), sync=self.sync)
                self.remove(entry)
        except FileNotFoundError:  # its hook has sent it meanwhile
            return
        except OSError as error:
            _log.error("%s does not fit in the quarantine: %s", entry.name, error)
            self.remove(entry)
            self.dropped(entry, "quarantine")
            return
        self._health.add("quarantined_total", label=label)
        with suppress(OSError):  # the log has it as well
            write_whole(f"{path}.reason", f"{reason}\n".encode(), sync=False)

    def quarantine_lines(self, entry: Entry, lines: bytes) -> None:
        """Write the damaged lines of a batch to the quarantine, and count them as one file."""
        try:
            write_whole(f"{self.quarantined}/{entry.key}.lines", lines, sync=False)
        except OSError as error:
            _log.error("%s: its damaged lines do not fit in the quarantine: %s", entry.name, error)
            return
        self._health.add("quarantined_total", label="damaged")

    def dropped(self, entry: Entry, reason: str) -> None:
        """Count and log an entry that is lost."""
        _log.error("%s is dropped (%s): %d samples lost", entry.name, reason, entry.samples)
        if entry.kind == EVENT:
            self._health.add("events_dropped_total", label=reason)
        else:
            self._health.add("samples_dropped_total", entry.samples, label=reason)
