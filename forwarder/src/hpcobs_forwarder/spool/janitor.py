"""Keeps the spool within its limits, and cleans up after a crash."""

from __future__ import annotations

import json
import logging
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.node.records import read_record
from hpcobs_forwarder.spool.batch import DamagedBatchError, decode, is_unborn, samples_in
from hpcobs_forwarder.spool.entries import (
    BATCH,
    BATCH_ENDINGS,
    EVENT_ENDINGS,
    Entry,
    batch_name,
    listed,
    names,
)
from hpcobs_forwarder.spool.fallback import MAX_BYTES
from hpcobs_forwarder.spool.journal import JOURNAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.batch import Batch
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

_TRIM_SECONDS = 30.0
_HOOK_SECONDS = 60.0
"""How long a hook's background work may take to rename its file."""
_PAGE = 4096
_LEFTOVER_SECONDS = 3600.0
_WRITTEN_BY_A_HOOK = re.compile(r"\.(.+\.json)\.\d+")
_TOO_OLD_SECONDS = 3600.0
"""How long a file must look too old before it is dropped. A clock that jumps forward and back
within that time costs nothing."""


class Limits(NamedTuple):
    """Limits for the size and the age of the queued entries."""

    max_bytes: int
    max_age_seconds: float


class SpoolJanitor:
    """Drops entries over the limits: the oldest samples first, events last."""

    def __init__(
        self, spool: Spool, limits: Limits, *, health: Health, clock: Clock, boot_id: str = ""
    ) -> None:
        """Create the janitor without touching the disk."""
        self._boot_id = boot_id
        self._spool = spool
        self._limits = limits
        self._health = health
        self._clock = clock
        self._old_since: dict[str, float] = {}
        self._next_trim = 0.0

    def recover(self) -> None:
        """Seal the batch that a killed forwarder left open, and remove its half-written files."""
        self._tidy()
        self._remove_old_records()
        # The fallback folder comes first: while the disk was full, only that one has all lines.
        for place in reversed(self._spool.places()):
            self._recover_journal(place.samples)

    def _recover_journal(self, folder: str) -> None:
        spool = self._spool
        found = _journal_in(folder)
        if found is None:
            return
        entry, data = found
        try:
            batch = decode(data)
        except DamagedBatchError as error:
            if is_unborn(data):  # it was killed at its start: nothing is lost
                spool.delete(entry.path)
            else:
                spool.quarantine(entry, "damaged", str(error))
            return
        # With the lost ones: the sender counts the difference between the name and the content.
        samples = batch.samples + samples_in(batch.lost)
        if not samples or self._is_elsewhere(batch):
            spool.delete(entry.path)
            return
        name = batch_name(entry.modified_at, samples)
        try:
            os.rename(entry.path, f"{folder}/{name}")
        except OSError:  # a read-only disk
            spool.keep_in_memory(name, data)
        _log.info("recovered %d samples of an earlier run", batch.samples)

    def _is_elsewhere(self, batch: Batch) -> bool:
        """Return whether memory or the fallback folder has the whole batch under another name."""
        for entry in self._spool.elsewhere():
            try:
                other = decode(entry.read())
            except (OSError, DamagedBatchError):
                continue
            if other.opening == batch.opening and other.samples >= batch.samples:
                return True
        return False

    def _tidy(self) -> None:
        """Finish the files that killed hooks left behind, and remove other leftovers."""
        spool = self._spool
        folders = [spool.quarantined]
        for place in spool.places():
            folders += [place.folder, place.jobs, place.events, place.samples]
        for folder in folders:
            for name in names(folder):
                if name.startswith("."):
                    self._tidy_one(folder, name)

    def _tidy_one(self, folder: str, name: str) -> None:
        path = f"{folder}/{name}"
        age = self._clock.wall() - _mtime(path)
        written = _WRITTEN_BY_A_HOOK.fullmatch(name)
        with suppress(OSError):  # the hook has just renamed it, or it is a folder
            if written and age > _HOOK_SECONDS and _is_whole(path):
                os.rename(path, f"{folder}/{written[1]}")
            elif age > _LEFTOVER_SECONDS:
                os.unlink(path)

    def _remove_old_records(self) -> None:
        # A reboot ends jobs without an Epilog, which would remove their records.
        for place in self._spool.places():
            for name in names(place.jobs):
                path = f"{place.jobs}/{name}"
                record = read_record(path)
                if record is not None and record.boot_id not in {None, self._boot_id}:
                    with suppress(OSError):  # an Epilog has just removed it, or a read-only disk
                        os.unlink(path)

    def trim_if_due(self) -> None:
        """Trim the spool, at most once in 30 s."""
        # After a long outage there are thousands of files, and each trim lists them all.
        now = self._clock.uptime()
        if now >= self._next_trim:
            self._next_trim = now + _TRIM_SECONDS
            self.trim()

    def trim(self) -> None:
        """Drop entries that are over the limits, and report how full the spool is."""
        spool, health = self._spool, self._health
        spool.make_folders()
        self._trim_fallback()
        # This order decides what a full spool drops first: batches before events.
        waiting = [*spool.waiting_batches(), *spool.waiting_events()]
        dropped = {entry.name for entry in self._drop_too_old(waiting)}
        if dropped:
            waiting = [entry for entry in waiting if entry.name not in dropped]
        waiting = _drop_over(waiting, self._limits.max_bytes, spool)
        kinds = [entry.kind for entry in waiting]
        health.set("spool_bytes", sum(entry.size for entry in waiting))
        health.set("spool_files", kinds.count(BATCH), "batch")
        health.set("spool_files", len(kinds) - kinds.count(BATCH), "event")
        oldest = min((entry.written_at for entry in waiting), default=0.0)
        health.set("spool_oldest_timestamp_seconds", oldest)
        self._trim_quarantine()
        self._tidy()

    def _drop_too_old(self, entries: list[Entry]) -> Iterator[Entry]:
        # By two clocks: the wall clock gives the age, but only the uptime proves that the wall
        # clock has stayed there. Right after boot it may be years ahead until NTP corrects it.
        now, wall = self._clock.uptime(), self._clock.wall()
        for entry in entries:
            if wall - entry.written_at <= self._limits.max_age_seconds:
                self._old_since.pop(entry.name, None)
            elif now - self._old_since.setdefault(entry.name, now) > _TOO_OLD_SECONDS:
                del self._old_since[entry.name]
                self._spool.remove(entry)
                self._spool.dropped(entry, "age")
                yield entry

    def _trim_fallback(self) -> None:
        """Keep the fallback folder small: its memory belongs to the node's jobs."""
        for place in self._spool.places()[1:]:
            batches = self._spool.listed([place.samples], BATCH_ENDINGS)
            events = self._spool.listed([place.events], EVENT_ENDINGS)
            # A file in memory takes whole pages.
            paged = [
                one._replace(size=-(-one.size // _PAGE) * _PAGE) for one in (*batches, *events)
            ]
            _drop_over(paged, MAX_BYTES, self._spool, "fallback")

    def _trim_quarantine(self) -> None:
        """Keep the quarantine within a quarter of the spool's limit. Its losses count as well."""
        files = listed(self._spool.quarantined, ("",))
        kept = _drop_over(files, self._limits.max_bytes // 4, self._spool, "quarantine")
        self._health.set("quarantine_bytes", sum(entry.size for entry in kept))


def _journal_in(folder: str) -> tuple[Entry, bytes] | None:
    """Return the open batch in ``folder`` and its content, or None without one."""
    path = f"{folder}/{JOURNAL}"
    try:
        status = os.stat(path)
        entry = Entry(JOURNAL, folder, status.st_size, status.st_mtime)
        return entry, entry.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.error("%s cannot be read: %s", path, error)
        return None


def _drop_over(
    entries: list[Entry], max_bytes: int, spool: Spool, reason: str = "size"
) -> list[Entry]:
    """Drop the first of ``entries`` until the others fit. Return the others."""
    total = sum(entry.size for entry in entries)
    for position, entry in enumerate(entries):
        if total <= max_bytes:
            return entries[position:]
        spool.remove(entry)
        spool.dropped(entry, reason)
        total -= entry.size
    return []


def _is_whole(path: str) -> bool:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return isinstance(json.load(file), dict)
    except (ValueError, RecursionError):
        return False


def _mtime(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return float("inf")  # its hook has just renamed it: too young for anything
