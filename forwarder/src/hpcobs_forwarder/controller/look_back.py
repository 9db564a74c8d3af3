"""Read the accounting database for the jobs that ended since it was last read.

A job that starts and ends between two looks at slurmctld is found nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.source import NoHistoryError, SourceError
from hpcobs_forwarder.controller.submissions import key_of, last_runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpcobs_forwarder.controller.source import History
    from hpcobs_forwarder.controller.submissions import Key

_FIRST_SECONDS = 86_400.0
"""How far a first start looks back."""
_LONGEST_SECONDS = 14 * 86_400.0
"""How far any start looks back."""
_OVERLAP_SECONDS = 120.0
"""slurmctld sends ends to slurmdbd some seconds late."""
_LONG_OVERLAP_SECONDS = 3600.0
"""If slurmctld cannot reach slurmdbd, it keeps the ends and sends them later."""
_LONG_EVERY_SECONDS = 1800.0
_LEAST_PAUSE_SECONDS = 15.0
_PAUSE_WITHOUT_HISTORY_SECONDS = 600.0

_WINDOW_SECONDS = 3600.0
"""A whole day of a large cluster would be gigabytes of JSON."""
_LEAST_WINDOW_SECONDS = 60.0
_WINDOWS_AT_ONCE = 48
_JOBS_AT_ONCE = 20_000

_TOO_LARGE = (
    *("no complete output within", "bytes of output"),
    *("Query result exceeds size limit", "Too wide of a date range"),
)
"""Errors of `process.run`, and of slurmdbd with its limits MaxQueryTimeRange and max_rpc_size."""

_REMEMBERED_SECONDS = 2 * _LONG_OVERLAP_SECONDS


class LookBack:
    """Reads the ends since the last read, window by window. It repeats a window that failed."""

    def __init__(self, history: History) -> None:
        """Read nothing yet."""
        self._history = history
        self._window = _WINDOW_SECONDS
        self._last: float | None = None
        self._last_long: float | None = None
        self._resume: float | None = None
        self._reported: dict[Key, float] = {}
        self.failure: SourceError | None = None
        self.has_history = True
        self.is_caught_up = False

    def read(self, read_until: float | None, now: float) -> tuple[list[dict[str, Any]], float]:
        """Return the jobs that ended since ``read_until``, and the time up to which it was read.

        ``failure`` is the error that stopped the reading, or None.
        """
        self.failure = None
        self.is_caught_up = False
        done = now - _FIRST_SECONDS if read_until is None else min(read_until, now)
        # A reading that stopped early goes on where it stopped, and not with the overlap again.
        start = self._start(read_until, now) if self._resume is None else min(self._resume, done)
        if not self._is_due(done, now):
            return [], done
        found: dict[Key, dict[str, Any]] = {}  # two windows may show an end between them
        for _ in range(_WINDOWS_AT_ONCE):
            end = min(start + self._window, now)
            try:
                found.update((key_of(job), job) for job in self._history.ended(start, end))
            except SourceError as error:
                self._failed(error, now)
                return last_runs(list(found.values())), done
            self._resume = start = end
            done = max(done, end)
            if end >= now or len(found) >= _JOBS_AT_ONCE:
                break
        self._succeeded(done, now)
        return last_runs(list(found.values())), done

    def _is_due(self, done: float, now: float) -> bool:
        if self._last is None or now < self._last:
            return True
        if not self.has_history:
            return now - self._last >= _PAUSE_WITHOUT_HISTORY_SECONDS
        # `done` is older than the last reading if that failed or was too much for one pass.
        return done < self._last or now - self._last >= _LEAST_PAUSE_SECONDS

    def _start(self, read_until: float | None, now: float) -> float:
        if read_until is None:
            return now - _FIRST_SECONDS
        long = self._last_long is None or not 0 <= now - self._last_long < _LONG_EVERY_SECONDS
        overlap = _LONG_OVERLAP_SECONDS if long else _OVERLAP_SECONDS
        return max(min(read_until, now), now - _LONGEST_SECONDS) - overlap

    def _succeeded(self, done: float, now: float) -> None:
        self.has_history = True
        self._last = now
        self.is_caught_up = done >= now
        if self.is_caught_up:
            self._resume = None
            self._window = min(self._window * 2, _WINDOW_SECONDS)
        if self.is_caught_up and (
            self._last_long is None or not 0 <= now - self._last_long < _LONG_EVERY_SECONDS
        ):
            self._last_long = now

    def _failed(self, error: SourceError, now: float) -> None:
        self.failure = error
        self._last = now
        self.has_history = not isinstance(error, NoHistoryError)
        # A window with too many jobs would fail each time.
        if any(words in str(error) for words in _TOO_LARGE):
            self._window = max(self._window / 2, _LEAST_WINDOW_SECONDS)

    def is_reported(self, job: dict[str, Any]) -> bool:
        """Return whether this end was reported lately."""
        return key_of(job) in self._reported

    def mark_reported(self, jobs: Iterable[dict[str, Any]], now: float) -> None:
        """Remember that these ends are in the spool, until no overlap finds them again."""
        self._reported.update((key_of(job), now) for job in jobs)
        if now - min(self._reported.values(), default=now) > _REMEMBERED_SECONDS * 1.5:
            self._reported = {
                key: reported
                for key, reported in self._reported.items()
                if 0 <= now - reported <= _REMEMBERED_SECONDS
            }
