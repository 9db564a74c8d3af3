"""The files of the spool: their names, their order, and how they are read and written.

A file name starts with the time in milliseconds, so names sort by age:
``<milliseconds>-<samples>-<tag>.batch`` is a batch, ``<milliseconds>-<id>.<kind>.json`` an event.
``.gz`` is appended when a file is compressed.
"""

from __future__ import annotations

import os
import re
import stat
import zlib
from typing import NamedTuple

_MILLISECONDS = re.compile(r"(\d{13})-")
_COUNT = re.compile(r"\d{13}-(\d+)-[^.]*\.batch(\.gz)?$")
# Not O_EXCL: a kill may leave the file, and a later process can have the same id.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
_GZIP = 31
"""zlib's number for gzip with the largest window."""
_INFLATED_AT_ONCE = 512

HOOK_SECONDS = 5.0
"""How long an event is left to its hook, which posts it as well."""

BATCH, EVENT = "batch", "event"
EVENT_ENDINGS = (".json", ".json.gz")
BATCH_ENDINGS = (".batch", ".batch.gz")


class Entry(NamedTuple):
    """A queued file, or a batch in memory while the disk is full. Sizes in bytes, times in seconds.

    After an outage of a week there are 20,000 entries. So an entry stores nothing that its name
    contains.
    """

    name: str
    folder: str
    size: int
    modified_at: float
    data: bytes | None = None

    @property
    def path(self) -> str:
        """Path of the file."""
        return f"{self.folder}/{self.name}"

    @property
    def kind(self) -> str:
        """Either ``BATCH`` or ``EVENT``."""
        return EVENT if self.name.endswith(EVENT_ENDINGS) else BATCH

    @property
    def key(self) -> str:
        """The part of the name that compression does not change."""
        return self.name.partition(".")[0]

    @property
    def from_hook(self) -> bool:
        """True if a hook wrote the file. The hook may be sending it at this moment."""
        return self.kind == EVENT and self.event_kind != "jobs"

    @property
    def event_kind(self) -> str:
        """The kind of an event: ``started`` for a file ``…-<id>.started.json``."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def written_at(self) -> float:
        """Time of the first write, from the name: compression changes the modification time."""
        match = _MILLISECONDS.match(self.name)
        return int(match[1]) / 1000 if match else self.modified_at

    @property
    def samples(self) -> int:
        """Number of samples in the batch, from the name, or 0 for an event."""
        match = _COUNT.match(self.name)
        return int(match[1]) if match else 0

    def is_with_hook(self, wall: float) -> bool:
        """Return whether the hook that wrote the event may be posting it at ``wall``."""
        return self.from_hook and 0 <= wall - self.written_at < HOOK_SECONDS

    def raw(self) -> bytes:
        """Return the content as it is in the file. Raise OSError."""
        if self.data is not None:
            return self.data
        with open(self.path, "rb") as file:
            return file.read()

    def read(self) -> bytes:
        """Return the content. Of a damaged batch, return what can be decompressed.

        Raise OSError if it is unreadable, ValueError if it is a damaged event.
        """
        data = self.raw()
        if not self.name.endswith(".gz"):
            return data
        content, is_whole = inflated(data)
        if self.kind == EVENT and not is_whole:  # a batch has a checksum in each line
            raise ValueError("the compressed file is damaged")
        return content


def inflated(data: bytes) -> tuple[bytes, bool]:
    """Return what ``data`` contains up to its first damage, and whether that is all."""
    inflater = zlib.decompressobj(_GZIP)
    whole = bytearray()
    try:
        # In small steps: an error costs the whole output of its step.
        for start in range(0, len(data), _INFLATED_AT_ONCE):
            whole += inflater.decompress(data[start : start + _INFLATED_AT_ONCE])
    except zlib.error:
        return bytes(whole), False
    return bytes(whole), inflater.eof


def batch_name(wall: float, samples: int) -> str:
    """Return a new name for a batch of ``samples`` written at ``wall``."""
    # Two batches of one millisecond, as the halves of a split batch are, need different names.
    return f"{int(wall * 1000):013d}-{samples}-{os.urandom(4).hex()}.batch"


def listed(folder: str, endings: tuple[str, ...]) -> list[Entry]:
    """Return the files in ``folder`` with one of these endings, oldest first."""
    entries = []
    for name in sorted(names(folder)):
        if name.startswith(".") or not name.endswith(endings):
            continue
        try:
            status = os.stat(f"{folder}/{name}")
        except FileNotFoundError:  # a hook has just sent it
            continue
        if stat.S_ISREG(status.st_mode):
            entries.append(Entry(name, folder, status.st_size, status.st_mtime))
    return entries


def names(folder: str) -> list[str]:
    """Return the names in the folder, or none if it does not exist."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        # An administrator removed it. The janitor makes it again.
        return []


def write_whole(path: str, data: bytes, *, sync: bool) -> None:
    """Create the file at ``path`` in one step, so that no reader sees a part of it.

    ``sync`` makes it survive a power cut. Raise OSError if the disk does not accept all of it.
    """
    folder, name = os.path.split(path)
    temporary = f"{folder}/.{name}.{os.getpid()}"
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        write_all(descriptor, data)
        if sync:
            # Before the rename: else a power cut can leave the new name on an empty file.
            os.fsync(descriptor)
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)
    if sync:
        sync_folder(folder)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``. Raise OSError if the disk accepts only a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(path: str) -> None:
    """Make new and changed names in the folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
