"""What slurmctld no longer tells: jobs that ended unseen, here or while nobody looked."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.jobs import is_open

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.source import History

_FIRST_LOOK_BACK_SECONDS = 86_400.0
_LOOKS = 20
"""How often a lost job is looked for: the accounting database may be late."""


class Backfill:
    """Asks the accounting database for missed ends; ``path`` keeps the time of the last pass."""

    def __init__(self, history: History, path: str) -> None:
        """Nothing is asked yet."""
        self._history = history
        self._path = path
        self._open: set[str] = set()
        self._lost: dict[str, int] = {}
        self._looked_back = False

    def ended(self, present: list[dict[str, Any]], now: float) -> list[dict[str, Any]]:
        """The jobs that have ended and are not ``present`` any more.

        SourceError if the database cannot be asked; the next call looks for lost jobs again.
        """
        ids = {job["job_id"] for job in present}
        for job_id in self._open - ids:
            self._lost.setdefault(job_id, _LOOKS)
        self._open = {job["job_id"] for job in present if is_open(job["state"])}
        found = [
            job
            for job in [*self._before_this_start(now), *self._lost_jobs()]
            if job["job_id"] not in ids and not is_open(job["state"])
        ]
        for job in found:
            self._lost.pop(job["job_id"], None)
        return found

    def _before_this_start(self, now: float) -> list[dict[str, Any]]:
        if self._looked_back:
            return []
        self._looked_back = True
        return self._history.since(self._last_pass() or now - _FIRST_LOOK_BACK_SECONDS)

    def _lost_jobs(self) -> list[dict[str, Any]]:
        ids = sorted(self._lost)
        self._lost = {job_id: looks - 1 for job_id, looks in self._lost.items() if looks > 1}
        return self._history.jobs(ids) if ids else []

    def _last_pass(self) -> float | None:
        try:
            with open(self._path, encoding="ascii") as file:
                return float(json.load(file)["observed"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def passed(self, observed: float) -> None:
        """All that was to be told at ``observed`` is in the spool. OSError if it cannot be kept."""
        temporary = f"{self._path}.new"
        with open(temporary, "w", encoding="ascii") as file:
            json.dump({"observed": observed}, file)
        os.replace(temporary, self._path)
