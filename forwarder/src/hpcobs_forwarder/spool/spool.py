"""The spool folder: what waits in it, in order, and what is set aside."""

from __future__ import annotations

import fcntl
import gzip
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from hpcobs_forwarder.spool.disk import write_whole
from hpcobs_forwarder.spool.entries import EVENT, EVENT_ENDINGS, Entry, listed
from hpcobs_forwarder.spool.memory import MemoryQueue

if TYPE_CHECKING:
    from hpcobs_forwarder.health import Health

_log = logging.getLogger(__name__)

_COMPRESSION = 6


class SpoolError(Exception):
    """The spool folder cannot be used; the text says why."""


class Spool:
    """One forwarder's spool folder. ``sync`` makes what is written outlast a power cut."""

    def __init__(self, folder: str, *, sync: bool, health: Health) -> None:
        """Nothing is touched until ``open``."""
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
        """Makes the folders and locks them; SpoolError if that cannot be."""
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
        """Makes the folders that are not there."""
        for path in (self.jobs, self.events, self.samples, self.quarantined):
            os.makedirs(path, mode=0o700, exist_ok=True)

    def _check_owner(self) -> None:
        """What root left in another user's spool, that user's hooks and service could not read."""
        if not os.path.isdir(self.folder):
            return
        owner = os.stat(self.folder).st_uid
        if owner != os.geteuid():
            raise SpoolError(f"{self.folder} is of user {_name_of(owner)}: run this as that user")

    def close(self) -> None:
        """Releases the folder."""
        os.close(self._lock)

    def keep_in_memory(self, name: str, data: bytes) -> None:
        """Lets a batch wait that is not on disk; the oldest ones go when they are too many."""
        for entry in self._memory.add(Entry(name, "", len(data), 0.0, data)):
            self.dropped(entry, "memory")

    def waiting_events(self) -> list[Entry]:
        """The hooks' events, oldest first."""
        return listed(self.events, EVENT_ENDINGS)

    def waiting_batches(self) -> list[Entry]:
        """The sealed batches, oldest first."""
        on_disk = listed(self.samples, (".batch", ".batch.gz"))
        return sorted([*on_disk, *self._memory.entries()], key=lambda entry: entry.name)

    def remove(self, entry: Entry) -> None:
        """Takes out what has arrived."""
        if entry.data is not None:
            self._memory.remove(entry)
            return
        with suppress(FileNotFoundError):  # a hook has sent it as well
            os.unlink(entry.path)

    def compress(self, entry: Entry) -> None:
        """Makes a batch that must wait a tenth of its size, if the disk has room to do so."""
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
        """Compresses what waits, some of it at a time: there may be thousands after a restart."""
        plain = [entry for entry in listed(self.samples, (".batch",)) if entry.samples]
        for entry in plain[:at_most]:
            self.compress(entry)

    def replace(self, entry: Entry, parts: tuple[tuple[str, bytes], ...]) -> None:
        """Puts ``parts``, by name, in the place of a batch that is too large."""
        for name, data in parts:
            try:
                write_whole(f"{self.samples}/{name}", data, sync=self.sync)
            except OSError:
                self.keep_in_memory(name, data)
        self.remove(entry)

    def quarantine(self, entry: Entry, label: str, reason: str) -> None:
        """Sets aside what will never be accepted, with the reason in a file beside it."""
        _log.error("%s is set aside in %s: %s", entry.name, self.quarantined, reason)
        path = f"{self.quarantined}/{entry.name}"
        try:
            if entry.data is None:
                os.rename(entry.path, path)
            else:
                write_whole(path, entry.data, sync=self.sync)
                self.remove(entry)
            write_whole(f"{path}.reason", f"{reason}\n".encode(), sync=False)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.error("%s has no room in the quarantine: %s", entry.name, error)
            self.remove(entry)
            self.dropped(entry, "quarantine")
            return
        self._health.add("quarantined_total", label=label)

    def dropped(self, entry: Entry, reason: str) -> None:
        """Counts and says what is lost for ever."""
        _log.error("%s is dropped (%s): %d samples lost", entry.name, reason, entry.samples)
        if entry.kind == EVENT:
            self._health.add("events_dropped_total", label=reason)
        else:
            self._health.add("samples_dropped_total", entry.samples, label=reason)


def _name_of(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
