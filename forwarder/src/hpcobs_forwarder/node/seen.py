"""The jobs whose cgroup was seen. When it goes, the job ends, and its Epilog comes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hpcobs_forwarder.spool.fallback import NO_FALLBACK, KeptFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs_forwarder.node.records import JobRecord
    from hpcobs_forwarder.node.tracking import TrackedJob
    from hpcobs_forwarder.spool.fallback import Fallback

_KEPT_SECONDS = 3600.0
"""How long a job without a record is remembered: its record may come late."""


class SeenJobs:
    """When the cgroup of each job was last seen, by job id and by SLUID.

    ``save`` keeps them in the file at ``path``, for the next start within the same boot: without an
    Epilog, records stay for ever.
    """

    def __init__(self, path: str, boot_id: str, fallback: Fallback = NO_FALLBACK) -> None:
        """Read nothing yet."""
        self._file = KeptFile(path, fallback)
        self._boot_id = boot_id
        self._at: dict[str, float] = {}
        self._is_loaded = False
        self._is_changed = False

    def notice(self, jobs: Sequence[TrackedJob], records: Iterable[JobRecord], now: float) -> None:
        """Remember that ``jobs`` have cgroups. Forget jobs that ended long ago."""
        self._load()
        by_id = {record.job_id: record for record in records}
        for job in jobs:
            for name in filter(None, (job.job_id, job.folder.name)):
                self._see(name, by_id.get(name), now)
        if not all(job.job_id for job in jobs):
            # A folder has an SLUID that no record has. Any record without one may be its own.
            for record in by_id.values():
                if record.sluid is None:
                    self._see(record.job_id, record, now)
        kept = by_id.keys() | {record.sluid for record in by_id.values()}
        self._at = {
            name: at for name, at in self._at.items() if name in kept or now - at < _KEPT_SECONDS
        }

    def _see(self, name: str, record: JobRecord | None, now: float) -> None:
        began = (record.began_at if record else None) or 0.0
        # The first time in each run is enough in the file.
        self._is_changed = self._is_changed or self._at.get(name, -1.0) < began
        self._at[name] = now

    def note_end(self, record: JobRecord, now: float) -> None:
        """Remember that the job's Epilog ran: its record may stay if the Epilog was killed."""
        self._see(record.job_id, record, now)

    def had_cgroup(self, record: JobRecord) -> bool:
        """Return whether a cgroup was seen in the run that ``record`` began."""
        seen = [self._at[name] for name in (record.job_id, record.sluid) if name in self._at]
        return bool(seen) and max(seen) >= (record.began_at or 0.0)

    def _load(self) -> None:
        if self._is_loaded:
            return
        self._is_loaded = True
        for text in self._file.read():
            for name, at in _times_in(text, self._boot_id).items():
                self._at[name] = max(at, self._at.get(name, at))

    def save(self) -> None:
        """Write the file if a job was seen for the first time. Raise OSError."""
        if not self._is_changed:
            return
        kept = json.dumps({"boot_id": self._boot_id, "jobs": self._at}, separators=(",", ":"))
        self._is_changed = not self._file.write(kept)


def _times_in(text: str, boot_id: str) -> dict[str, float]:
    """Return the times in the file's text, or none if it is damaged or of another boot."""
    try:
        kept = json.loads(text)
        if kept["boot_id"] == boot_id:
            return {str(name): float(at) for name, at in kept["jobs"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    return {}
