"""What slurmctld no longer tells: jobs that ended unseen, here or while nobody looked."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.controller.jobs import is_open, is_pending
from hpcobs_forwarder.controller.source import NoHistoryError, SourceError

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.source import History

_FIRST_LOOK_BACK_SECONDS = 86_400.0

_PASSES_WHEN_UNKNOWN = 20
"""How often a lost job is looked for: the accounting database may be late."""
_PASSES_WITHOUT_HISTORY = 4
"""Without one, how long the hooks' own word is waited for."""
_PASSES_WHILE_SILENT = 2880
"""While it does not answer: a day at the usual interval."""


class Missed(NamedTuple):
    """A job that waited or ran when it was last seen, and for how many passes it is gone."""

    pending: bool
    restart_count: int | None
    seen_at: float
    passes: int = 0


class Backfill:
    """Asks the accounting database for missed ends.

    The file at ``path`` keeps what was last seen, so that a restart forgets no job.
    """

    def __init__(self, history: History, path: str) -> None:
        """Nothing is asked yet."""
        self._history = history
        self._path = path
        self._last_pass, self._open, self._missed = _kept(path)
        self._patience = _PASSES_WHEN_UNKNOWN
        self._looked_back = False

    def ended(self, present: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """The jobs that have ended and are not ``present`` any more.

        SourceError if the database cannot be asked; the next call looks for lost jobs again.
        """
        self._compare(present, now)
        try:
            found = self._asked(now)
        except NoHistoryError:
            self._patience = _PASSES_WITHOUT_HISTORY
            raise
        except SourceError:
            self._patience = _PASSES_WHILE_SILENT
            raise
        self._patience = _PASSES_WHEN_UNKNOWN
        ids = {job["job_id"] for job in present}
        ended = [job for job in found if job["job_id"] not in ids and not is_open(job["state"])]
        for job in ended:
            self._missed.pop(job["job_id"], None)
        return ended

    def _compare(self, present: list[dict[str, Any]], now: float) -> None:
        """Which of the jobs that waited or ran are gone."""
        ids = {job["job_id"] for job in present}
        gone = {job_id: job for job_id, job in self._open.items() if job_id not in ids}
        missed = {job_id: job for job_id, job in self._missed.items() if job_id not in ids}
        self._missed = {
            job_id: job._replace(passes=job.passes + 1)
            for job_id, job in {**gone, **missed}.items()
        }
        self._open = {
            job["job_id"]: Missed(is_pending(job["state"]), job.get("restart_count"), now)
            for job in present
            if is_open(job["state"])
        }

    def _asked(self, now: float) -> list[dict[str, Any]]:
        earlier = [] if self._looked_back else self._before_this_start(now)
        ids = sorted(self._missed)
        return [*earlier, *(self._history.jobs(ids) if ids else [])]

    def _before_this_start(self, now: float) -> list[dict[str, Any]]:
        self._looked_back = True
        return self._history.since(self._last_pass or now - _FIRST_LOOK_BACK_SECONDS, now)

    def given_up(self) -> dict[str, Missed]:
        """The jobs of which nobody knows how they ended."""
        return {job_id: job for job_id, job in self._missed.items() if job.passes >= self._patience}

    def passed(self, observed: float) -> None:
        """All that was to be told at ``observed`` is in the spool. OSError if it cannot be kept."""
        for job_id in self.given_up():
            del self._missed[job_id]
        temporary = f"{self._path}.new"
        kept = {"observed": observed, "open": self._open, "missed": self._missed}
        with open(temporary, "w", encoding="ascii") as file:
            json.dump(kept, file, separators=(",", ":"))
        os.replace(temporary, self._path)


def _kept(path: str) -> tuple[float | None, dict[str, Missed], dict[str, Missed]]:
    """When the last pass was, and the jobs then open and missed, as far as the file tells."""
    try:
        with open(path, encoding="ascii") as file:
            kept = json.load(file)
        return float(kept["observed"]), _jobs(kept.get("open")), _jobs(kept.get("missed"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, {}, {}


def _jobs(kept: Any) -> dict[str, Missed]:
    return {str(job_id): Missed(*job) for job_id, job in (kept or {}).items()}
