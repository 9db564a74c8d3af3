"""One thing that waits to be sent."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from typing import NamedTuple

_MILLISECONDS = re.compile(r"(\d{13})-")
_COUNT = re.compile(r"\d{13}-(\d+)-[^.]*\.batch(\.gz)?$")

BATCH, EVENT = "batch", "event"
EVENT_ENDINGS = (".json", ".json.gz")


class Entry(NamedTuple):
    """A file, or while the disk takes none, a batch in memory. Bytes, seconds since the epoch.

    After a week's outage there are twenty thousand: none holds what can be told from its name.
    """

    name: str
    folder: str
    size: int
    modified_at: float
    data: bytes | None = None

    @property
    def path(self) -> str:
        """Where the file is."""
        return f"{self.folder}/{self.name}"

    @property
    def kind(self) -> str:
        """What it is, by its name."""
        return EVENT if self.name.endswith(EVENT_ENDINGS) else BATCH

    @property
    def key(self) -> str:
        """What stays of the name when the file is compressed."""
        return self.name.partition(".")[0]

    @property
    def from_hook(self) -> bool:
        """Whether a hook wrote it, which may be sending it just now."""
        return self.kind == EVENT and self.event_kind != "jobs"

    @property
    def event_kind(self) -> str:
        """What an event tells of: ``…-<id>.started.json`` of a start."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def written_at(self) -> float:
        """When it was first written: its name says so, whatever was done to the file since."""
        match = _MILLISECONDS.match(self.name)
        return int(match[1]) / 1000 if match else self.modified_at

    @property
    def samples(self) -> int:
        """How many samples are in the batch, by its name."""
        match = _COUNT.match(self.name)
        return int(match[1]) if match else 0

    def read(self) -> bytes:
        """The content. OSError if it cannot be read, ValueError if it is damaged."""
        if self.data is not None:
            return self.data
        with open(self.path, "rb") as file:
            data = file.read()
        if not self.name.endswith(".gz"):
            return data
        try:
            return gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(str(error)) from error


def batch_name(wall: float, samples: int, tag: str) -> str:
    """The name of a batch written at ``wall``; names sort by time."""
    return f"{int(wall * 1000):013d}-{samples}-{tag}.batch"


def listed(folder: str, endings: tuple[str, ...]) -> list[Entry]:
    """The files in ``folder`` whose names end so, oldest first; what is no file is no matter."""
    entries = []
    for name in sorted(_names(folder)):
        if name.startswith(".") or not name.endswith(endings):
            continue
        try:
            status = os.stat(f"{folder}/{name}")
        except FileNotFoundError:  # a hook has just sent it
            continue
        if stat.S_ISREG(status.st_mode):
            entries.append(Entry(name, folder, status.st_size, status.st_mtime))
    return entries


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:  # somebody has cleared up; it is made again
        return []
