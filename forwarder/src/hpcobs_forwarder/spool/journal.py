"""The batch that is being written: each pass is on disk before the next one starts."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.spool.batch import host_line, opening_line, samples_line
from hpcobs_forwarder.spool.entries import batch_name, sync_folder, write_all

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

JOURNAL = "open.journal"
MAX_SAMPLES = 5000
"""The limit of the contract for one batch."""

_MAX_BYTES = 1 << 20
_OPEN = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class BatchWriter:
    """Writes passes to the spool, and seals batches that are ready to be sent.

    A batch is of one node: ``node``, unless a pass is of another one.
    """

    def __init__(self, spool: Spool, node: str, clock: Clock) -> None:
        """Create the writer without touching the disk."""
        self._spool = spool
        self._node = node
        self._clock = clock
        self._journal: Journal | None = None
        self._journal_node = node
        self._hosts: dict[str, dict[str, Any]] = {}
        self._reported: set[str] = set()
        self._disk_failed = False

    def add(
        self, samples: list[dict[str, Any]], host: dict[str, Any], cluster_name: str | None
    ) -> None:
        """Add one pass. It is on disk when this returns, or in memory if no folder accepts it."""
        self.add_nodes({self._node: samples}, host, cluster_name)

    def add_nodes(
        self,
        samples: dict[str, list[dict[str, Any]]],
        host: dict[str, Any],
        cluster_name: str | None,
    ) -> None:
        """Add one pass of the nodes on this host, by their names."""
        self._hosts = dict.fromkeys(samples, host)
        for node, of_node in samples.items():
            for start in range(0, len(of_node), MAX_SAMPLES):
                self._add(node, of_node[start : start + MAX_SAMPLES], cluster_name)

    def _add(self, node: str, samples: list[dict[str, Any]], cluster_name: str | None) -> None:
        journal = self._journal
        if journal is not None and (
            journal.samples + len(samples) > MAX_SAMPLES
            or journal.bytes > _MAX_BYTES
            # Several nodes on a host are rare. One open batch is enough, and simple to recover.
            or node != self._journal_node
        ):
            self._seal_journal()
            journal = None
        if journal is None:
            folders = [place.samples for place in self._spool.places()]
            self._journal = journal = Journal(folders, sync=self._spool.sync)
            self._journal_node = node
            journal.buffer(opening_line(node, cluster_name))
        journal.buffer(samples_line(samples), len(samples))
        try:
            journal.flush()
        except OSError as error:
            self._note(error, "stay in memory")
        else:
            self._note(journal.failure, f"go to {journal.folder}")

    def seal(self, cluster_name: str | None) -> None:
        """Close the open batch and queue it for the sender.

        For a node without samples, queue the state of the host alone, if it is known.
        """
        self._seal_journal()
        reported, self._reported = self._reported, set()
        for node, host in self._hosts.items():
            if host and node not in reported:
                # In memory only: it is worthless later, and an idle node should not write to disk.
                lines = opening_line(node, cluster_name) + host_line(host)
                self._spool.keep_in_memory(batch_name(self._clock.wall(), 0), lines)

    def _seal_journal(self) -> None:
        """Queue the open batch, if there is one, with the state of the host."""
        journal, self._journal = self._journal, None
        if journal is None:
            return
        host = self._hosts.get(self._journal_node)
        if host:
            journal.buffer(host_line(host))
            self._reported.add(self._journal_node)
        name = batch_name(self._clock.wall(), journal.samples)
        try:
            journal.seal(name)
        except OSError as error:
            self._note(error, "stay in memory")
            self._spool.keep_in_memory(name, journal.discard())

    def _note(self, error: OSError | None, where: str) -> None:
        """Log the first failure of the disk, and its end."""
        if error is not None and not self._disk_failed:
            _log.error("the spool cannot be written, samples %s: %s", where, error)
        if error is None and self._disk_failed:
            _log.info("the spool can be written again")
        self._disk_failed = error is not None


class Journal:
    """An open batch, with a copy of its lines in memory.

    It is written to the first of ``folders`` that accepts all of it. While none does, lines stay in
    memory. Each ``flush`` tries all of them again, the first one first.
    """

    def __init__(self, folders: list[str], *, sync: bool) -> None:
        """Create the journal without touching a disk. ``sync`` makes it survive a power cut."""
        self._files = [JournalFile(f"{folder}/{JOURNAL}", sync=sync) for folder in folders]
        self._whole = self._files[0]
        self._lines: list[bytes] = []
        self.failure: OSError | None = None
        self.samples = 0
        self.bytes = 0

    @property
    def folder(self) -> str:
        """The folder that has the whole batch after a ``flush``."""
        return os.path.dirname(self._whole.path)

    def buffer(self, line: bytes, samples: int = 0) -> None:
        """Add a line in memory. ``flush`` writes it."""
        self._lines.append(line)
        self.samples += samples
        self.bytes += len(line)

    def flush(self) -> None:
        """Write the lines that are in memory only. Raise OSError if no folder accepts them.

        ``failure`` is the error of the first folder if it is another one that accepts them.
        """
        self.failure = None
        for number, file in enumerate(self._files, 1):
            try:
                file.write(self._lines)
            except OSError as error:
                self.failure = self.failure or error
            else:
                self._whole = file
                # The disk has room again: a kill must not leave an older copy.
                for other in self._files[number:]:
                    other.discard()
                return
        if self.failure is not None:
            raise self.failure

    def seal(self, name: str) -> None:
        """Close the batch under its name. Raise OSError if it is not whole in any folder."""
        self.flush()
        self._whole.seal(name)
        for file in self._files:
            if file is not self._whole:
                file.discard()

    def discard(self) -> bytes:
        """Remove the files and return the whole batch from memory."""
        for file in self._files:
            file.discard()
        return b"".join(self._lines)


class JournalFile:
    """The file of an open batch at ``path``, and how many of its lines it has."""

    def __init__(self, path: str, *, sync: bool) -> None:
        """Create no file yet."""
        self.path = path
        self._sync = sync
        self._lines = 0
        self._bytes = 0
        self._descriptor = -1

    def write(self, lines: list[bytes]) -> None:
        """Write those of all ``lines`` that are not in the file yet. Raise OSError.

        After an error the file ends with the last line that was written whole.
        """
        if self._descriptor < 0:
            self._open()
        pending = b"".join(lines[self._lines :])
        try:
            write_all(self._descriptor, pending)
            if self._sync:
                os.fdatasync(self._descriptor)
        except OSError:
            # A full disk may accept a part. Cut it off, or the next line would be appended to it.
            os.ftruncate(self._descriptor, self._bytes)
            os.lseek(self._descriptor, self._bytes, os.SEEK_SET)
            raise
        self._lines = len(lines)
        self._bytes += len(pending)

    def _open(self) -> None:
        # A file may be left over: discard() cannot remove it from a read-only disk.
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self._descriptor = os.open(self.path, _OPEN, 0o600)
        if self._sync:
            sync_folder(os.path.dirname(self.path))

    def seal(self, name: str) -> None:
        """Close the file and rename it. Raise OSError."""
        self._close()
        os.rename(self.path, f"{os.path.dirname(self.path)}/{name}")

    def discard(self) -> None:
        """Remove the file, if there is one. The next write begins it anew."""
        if self._descriptor >= 0:
            self._close()
            self._lines = self._bytes = 0
            with suppress(OSError):  # the disk is read-only
                os.unlink(self.path)

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
