"""Find out how jobs ended that slurmctld forgot before the controller role read their end."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.controller.jobs import is_open, is_pending
from hpcobs_forwarder.controller.source import NoHistoryError, SourceError

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.source import History

_FIRST_LOOK_BACK_SECONDS = 86_400.0

# How many passes a job may be missing before it is reported as lost.
_PASSES_WHEN_UNKNOWN = 20
"""If the accounting database does not have the job: it may be late."""
_PASSES_WITHOUT_HISTORY = 4
"""Without an accounting database: the job's hooks may be late."""
_PASSES_WHILE_SILENT = 2880
"""While the accounting database does not respond: a day at the usual interval of 30 s."""


class MissingJob(NamedTuple):
    """A job that waited or ran at ``seen_at`` and has been missing for some ``passes``."""

    pending: bool
    restart_count: int | None
    seen_at: float
    passes: int = 0


class Backfill:
    """Queries the accounting database for the ends of jobs that disappeared.

    The file at ``path`` keeps the open and missing jobs of the last pass over a restart.
    """

    def __init__(self, history: History, path: str) -> None:
        """Load the file at ``path``. Query nothing yet."""
        self._history = history
        self._path = path
        self._last_pass, self._open, self._missing = _saved(path)
        self._passes_until_lost = _PASSES_WHEN_UNKNOWN
        self._looked_back = False

    def ended(self, present: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """Return the jobs that ended and are not ``present`` any more.

        Raise SourceError if the database cannot be queried. The next call queries again.
        """
        self._compare(present, now)
        try:
            found = self._query(now)
        except NoHistoryError:
            self._passes_until_lost = _PASSES_WITHOUT_HISTORY
            raise
        except SourceError:
            self._passes_until_lost = _PASSES_WHILE_SILENT
            raise
        self._passes_until_lost = _PASSES_WHEN_UNKNOWN
        ids = {job["job_id"] for job in present}
        ended = [job for job in found if job["job_id"] not in ids and not is_open(job["state"])]
        for job in ended:
            self._missing.pop(job["job_id"], None)
        return ended

    def _compare(self, present: list[dict[str, Any]], now: float) -> None:
        """Update which jobs are open, and which open ones are missing."""
        ids = {job["job_id"] for job in present}
        # A job that comes back is not missing any more.
        gone = {job_id: job for job_id, job in self._open.items() if job_id not in ids}
        still_missing = {job_id: job for job_id, job in self._missing.items() if job_id not in ids}
        self._missing = {
            job_id: job._replace(passes=job.passes + 1)
            for job_id, job in {**gone, **still_missing}.items()
        }
        self._open = {
            job["job_id"]: MissingJob(is_pending(job["state"]), job.get("restart_count"), now)
            for job in present
            if is_open(job["state"])
        }

    def _query(self, now: float) -> list[dict[str, Any]]:
        earlier = [] if self._looked_back else self._before_this_start(now)
        ids = sorted(self._missing)
        return [*earlier, *(self._history.jobs(ids) if ids else [])]

    def _before_this_start(self, now: float) -> list[dict[str, Any]]:
        # One attempt per start. If it fails, jobs that were open before are still queried by id.
        self._looked_back = True
        return self._history.since(self._last_pass or now - _FIRST_LOOK_BACK_SECONDS, now)

    def lost(self) -> dict[str, MissingJob]:
        """Return the jobs that have been missing for too long, by id. Their end is unknown."""
        return {
            job_id: job
            for job_id, job in self._missing.items()
            if job.passes >= self._passes_until_lost
        }

    def finish_pass(self, observed: float) -> None:
        """Save the state: the events of the pass at ``observed`` are spooled. Raise OSError."""
        for job_id in self.lost():
            del self._missing[job_id]
        temporary = f"{self._path}.new"
        state = {"observed": observed, "open": self._open, "missed": self._missing}
        # By rename: a kill in between leaves the old file, not half of a new one.
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(state, file, separators=(",", ":"))
        os.replace(temporary, self._path)


def _saved(path: str) -> tuple[float | None, dict[str, MissingJob], dict[str, MissingJob]]:
    """Return the time of the last pass, and the jobs open and missing then, from the file."""
    try:
        with open(path, encoding="ascii") as file:
            saved = json.load(file)
        return (
            float(saved["observed"]),
            _missing_jobs(saved.get("open")),
            _missing_jobs(saved.get("missed")),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # A first start, or a damaged file: start without history.
        return None, {}, {}


def _missing_jobs(saved: Any) -> dict[str, MissingJob]:
    return {str(job_id): MissingJob(*job) for job_id, job in (saved or {}).items()}
