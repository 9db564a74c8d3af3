"""The folders with queued files."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """A folder with queued files: the spool's own, or the fallback folder."""

    folder: str

    @property
    def jobs(self) -> str:
        """Folder of the Prolog's records."""
        return f"{self.folder}/jobs"

    @property
    def events(self) -> str:
        """Folder of the events."""
        return f"{self.folder}/events"

    @property
    def samples(self) -> str:
        """Folder of the batches."""
        return f"{self.folder}/samples"
