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
        """Add one pass. It is on disk when this returns, or in memory if the disk is full."""
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
            path = f"{self._spool.samples}/{JOURNAL}"
            self._journal = journal = Journal(path, sync=self._spool.sync)
            self._journal_node = node
            journal.buffer(opening_line(node, cluster_name))
        journal.buffer(samples_line(samples), len(samples))
        try:
            journal.flush()
        except OSError as error:
            self._log_once(error)
        else:
            self._disk_failed = False

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
            journal.seal(f"{self._spool.samples}/{name}")
        except OSError as error:
            self._log_once(error)
            self._spool.keep_in_memory(name, journal.discard())

    def _log_once(self, error: OSError) -> None:
        if not self._disk_failed:
            _log.error("the spool cannot be written, samples stay in memory: %s", error)
        self._disk_failed = True


class Journal:
    """An open batch at ``path``, with a copy of its lines in memory.

    While the disk is full, lines stay in memory. Each ``flush`` tries again to write them.
    """

    def __init__(self, path: str, *, sync: bool) -> None:
        """Create the journal without touching the disk. ``sync`` makes it survive a power cut."""
        self._path = path
        self._sync = sync
        self._lines: list[bytes] = []
        self._written_lines = 0
        self._written_bytes = 0
        self._descriptor = -1
        self.samples = 0
        self.bytes = 0

    def buffer(self, line: bytes, samples: int = 0) -> None:
        """Add a line in memory. ``flush`` writes it."""
        self._lines.append(line)
        self.samples += samples
        self.bytes += len(line)

    def flush(self) -> None:
        """Write the lines that are in memory only. Raise OSError if the disk does not accept them.

        After an error the file ends with the last line that was written whole.
        """
        if self._descriptor < 0:
            self._open()
        pending = b"".join(self._lines[self._written_lines :])
        try:
            write_all(self._descriptor, pending)
            if self._sync:
                os.fdatasync(self._descriptor)
        except OSError:
            # A full disk may accept a part. Cut it off, or the next line would be appended to it.
            os.ftruncate(self._descriptor, self._written_bytes)
            os.lseek(self._descriptor, self._written_bytes, os.SEEK_SET)
            raise
        self._written_lines = len(self._lines)
        self._written_bytes += len(pending)

    def _open(self) -> None:
        # A file may be left over: discard() cannot remove it from a read-only disk.
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        self._descriptor = os.open(self._path, _OPEN, 0o600)
        if self._sync:
            sync_folder(os.path.dirname(self._path))

    def seal(self, path: str) -> None:
        """Close the batch and rename it to ``path``. Raise OSError if it is not whole on disk."""
        self.flush()
        self._close()
        os.rename(self._path, path)

    def discard(self) -> bytes:
        """Remove the file and return the whole batch from memory."""
        if self._descriptor >= 0:
            self._close()
        with suppress(OSError):  # there is no file, or the disk is read-only
            os.unlink(self._path)
        return b"".join(self._lines)

    def _close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
