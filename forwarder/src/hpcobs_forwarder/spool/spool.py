"""The spool folder: which entries are queued, in which order, and which are in quarantine."""

from __future__ import annotations

import fcntl
import gzip
import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from hpcobs_forwarder.spool.batch import decode
from hpcobs_forwarder.spool.entries import EVENT, EVENT_ENDINGS, Entry, listed, write_whole

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health

_log = logging.getLogger(__name__)

MEMORY_BYTES = 4 << 20
"""Limit for batches in memory, while the disk is full."""

_COMPRESSION = 6


class SpoolError(Exception):
    """The spool folder cannot be used. The text contains the reason."""


class Spool:
    """One forwarder's spool folder. ``sync`` makes written files survive a power cut."""

    def __init__(self, folder: str, *, sync: bool, health: Health) -> None:
        """Set the paths. ``open`` is the first to touch the disk."""
        self.folder = folder
        self.sync = sync
        self.jobs = f"{folder}/jobs"
        self.events = f"{folder}/events"
        self.samples = f"{folder}/samples"
        self.quarantined = f"{folder}/quarantine"
        self._health = health
        self._lock = -1
        self._memory = MemoryQueue()

    def open(self) -> None:
        """Make the folders and lock them. Raise SpoolError if that fails."""
        try:
            self._check_owner()
            self.make_folders()
            lock = f"{self.folder}/lock"
            self._lock = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolError(f"{self.folder} is in use by another forwarder") from None
        except OSError as error:
            raise SpoolError(f"the spool cannot be used: {error}") from error

    def make_folders(self) -> None:
        """Make the folders that do not exist."""
        # The spool's own folder comes first: `mode` does not count for folders in between.
        for path in (self.folder, self.jobs, self.events, self.samples, self.quarantined):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def _check_owner(self) -> None:
        # Files that root writes to another user's spool are unreadable for that user's hooks and
        # service. So root has to run as that user.
        if not os.path.isdir(self.folder):
            return
        owner = os.stat(self.folder).st_uid
        if owner != os.geteuid():
            raise SpoolError(
                f"{self.folder} belongs to user {_name_of(owner)}: run this as that user"
            )

    def close(self) -> None:
        """Release the folder."""
        os.close(self._lock)

    def keep_in_memory(self, name: str, data: bytes) -> None:
        """Queue a batch in memory. Over the limit, the oldest batches are dropped and counted."""
        for entry in self._memory.add(Entry(name, "", len(data), 0.0, data)):
            self.dropped(entry, "memory")

    def waiting_events(self) -> list[Entry]:
        """Return the queued events, oldest first."""
        return listed(self.events, EVENT_ENDINGS)

    def waiting_batches(self) -> list[Entry]:
        """Return the sealed batches, oldest first."""
        on_disk = listed(self.samples, (".batch", ".batch.gz"))
        return sorted([*on_disk, *self._memory.entries()], key=lambda entry: entry.name)

    def remove(self, entry: Entry) -> None:
        """Remove an entry that was sent or dropped."""
        if entry.data is not None:
            self._memory.remove(entry)
            return
        with suppress(FileNotFoundError):  # a hook has sent it as well
            os.unlink(entry.path)

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
        except OSError as error:
            _log.warning("%s stays uncompressed: %s", entry.name, error)
            return
        os.unlink(entry.path)

    def pack(self, at_most: int = 100) -> None:
        """Compress the oldest plain batches, at most so many per call."""
        # After a restart in an outage there may be thousands: all at once would take minutes.
        plain = [entry for entry in listed(self.samples, (".batch",)) if entry.samples]
        for entry in plain[:at_most]:
            self.compress(entry)

    def replace(self, entry: Entry, parts: tuple[tuple[str, bytes], ...]) -> None:
        """Replace a batch that is too large by ``parts``: pairs of name and content."""
        for name, data in parts:
            try:
                write_whole(f"{self.samples}/{name}", data, sync=self.sync)
            except OSError:
                self.keep_in_memory(name, data)
        # Last: a crash before this sends samples twice, which the site ignores, and loses none.
        self.remove(entry)

    def quarantine(self, entry: Entry, label: str, reason: str) -> None:
        """Move an entry to the quarantine, with the reason in a file beside it, and count it."""
        _log.error("%s was moved to %s: %s", entry.name, self.quarantined, reason)
        path = f"{self.quarantined}/{entry.name}"
        try:
            if entry.data is None:
                os.rename(entry.path, path)
            else:
                write_whole(path, entry.data, sync=self.sync)
                self.remove(entry)
            write_whole(f"{path}.reason", f"{reason}\n".encode(), sync=False)
        except FileNotFoundError:  # its hook has sent it meanwhile
            return
        except OSError as error:
            _log.error("%s does not fit in the quarantine: %s", entry.name, error)
            self.remove(entry)
            self.dropped(entry, "quarantine")
            return
        self._health.add("quarantined_total", label=label)

    def dropped(self, entry: Entry, reason: str) -> None:
        """Count and log an entry that is lost."""
        _log.error("%s is dropped (%s): %d samples lost", entry.name, reason, entry.samples)
        if entry.kind == EVENT:
            self._health.add("events_dropped_total", label=reason)
        else:
            self._health.add("samples_dropped_total", entry.samples, label=reason)


class MemoryQueue:
    """A bounded queue of batches. The sampler's thread adds, the sender's thread removes."""

    def __init__(self) -> None:
        """Create an empty queue."""
        self._lock = threading.Lock()
        self._entries: list[Entry] = []

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

    def remove(self, entry: Entry) -> None:
        """Remove ``entry`` if it is still queued."""
        with self._lock:
            self._entries = [one for one in self._entries if one.name != entry.name]

    def entries(self) -> list[Entry]:
        """Return the queued batches, oldest first."""
        with self._lock:
            return list(self._entries)


def _node_of(entry: Entry) -> object:
    return decode(entry.read()).opening.get("node")


def _name_of(uid: int) -> str:
    import pwd  # only for an error message

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
