"""Find out how jobs ended whose end slurmctld no longer shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.look_back import LookBack
from hpcobs_forwarder.controller.source import NoHistoryError, SourceError
from hpcobs_forwarder.controller.state_file import State, load, save
from hpcobs_forwarder.controller.states import is_open, is_settled, may_go_on
from hpcobs_forwarder.controller.submissions import key_of, last_run_of
from hpcobs_forwarder.controller.tracking import Tracking
from hpcobs_forwarder.spool.fallback import NO_FALLBACK, KeptFile

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.look import Look
    from hpcobs_forwarder.controller.source import History
    from hpcobs_forwarder.controller.submissions import Key
    from hpcobs_forwarder.controller.tracking import Tracked
    from hpcobs_forwarder.spool.fallback import Fallback

# How many passes a job may be missing before it is reported as lost.
_PASSES_WHEN_UNKNOWN = 20
"""If the accounting database does not have the job: it may be late."""
_PASSES_WITHOUT_HISTORY = 4
"""Without an accounting database: the job's hooks may be late."""
_PASSES_WHILE_SILENT = 2880
"""While the accounting database does not respond: a day at the usual interval of 30 s."""

Job = dict[str, Any]


class Backfill:
    """Queries the accounting database for ends that slurmctld does not show.

    The file at ``path`` keeps the progress over a restart, in the fallback folder while the disk is
    full. A pass that is not finished with ``finish_pass`` changes nothing: the next pass finds the
    same again.
    """

    def __init__(self, history: History, path: str, fallback: Fallback = NO_FALLBACK) -> None:
        """Load the file at ``path``. Query nothing yet."""
        self._history = history
        self._file = KeptFile(path, fallback)
        self._look_back = LookBack(history)
        self._state = load(self._file)
        self._next = self._state
        self._ends: list[Job] = []
        self.failure: SourceError | None = None

    def ended(self, look: Look, now: float) -> list[Job]:
        """Return the jobs that ended and that slurmctld does not show.

        ``failure`` is the error if the database could not be queried, or None.
        """
        tracking = self._state.tracking.after(look, now)
        ends, read = self._look_back.read(self._state.read_until, now)
        self.failure = self._look_back.failure
        ends = [job for job in ends if not self._look_back.is_reported(job)]
        records = self._records(tracking, ends, look)
        # After a failure, the ends are to be found again.
        read_until = read if self.failure is self._look_back.failure else self._state.read_until
        missing, found = self._judged(tracking, records, look)
        self._next = State(Tracking(tracking.open, missing), read_until)
        known = {key_of(job) for job in found}
        found += [
            job for job in ends if key_of(job) not in known and self._is_news(job, look, records)
        ]
        self._ends = [*found, *(job for job in look.jobs if is_settled(job["state"]))]
        return found

    def _records(self, tracking: Tracking, ends: list[Job], look: Look) -> dict[str, list[Job]]:
        """Return the database's records by id: the ``ends``, and all records where these lack."""
        records: dict[str, list[Job]] = {}
        for job in ends:
            records.setdefault(job["job_id"], []).append(job)
        ids = {key[0] for key, job in tracking.missing.items() if job.is_due}
        ids |= {job["job_id"] for job in ends if not self._is_certain(job, look)}
        if not ids or self.failure is not None or not self._look_back.has_history:
            return records
        try:
            # These include open and earlier runs.
            jobs = self._history.jobs(sorted(ids))
        except SourceError as error:
            self.failure = error
            return {}
        records.update((job_id, []) for job_id in ids)
        for job in jobs:
            if job["job_id"] in ids:
                records[job["job_id"]].append(job)
        return records

    def _judged(
        self, tracking: Tracking, records: dict[str, list[Job]], look: Look
    ) -> tuple[dict[Key, Tracked], list[Job]]:
        """Return the jobs that are still missing, and the ends of the others."""
        missing: dict[Key, Tracked] = {}
        found: list[Job] = []
        for key, job in tracking.missing.items():
            last = last_run_of(key, records.get(key[0], []))
            if last is None:
                missing[key] = self._still_missing(job) if look.is_complete else job
            elif is_open(last["state"]):
                missing[key] = job._replace(passes=0, silent=0)
            else:
                found.append(_with_restarts(last, key, job))
        return missing, found

    def _still_missing(self, job: Tracked) -> Tracked:
        if self._is_silent():
            return job._replace(silent=job.silent + 1)
        # A job that was not queried is as missing as before.
        return job._replace(passes=job.passes + job.is_due, silent=0)

    def _is_silent(self) -> bool:
        return self.failure is not None and not isinstance(self.failure, NoHistoryError)

    def _is_certain(self, end: Job, look: Look) -> bool:
        """Return whether the last ends and what slurmctld shows suffice to judge this end."""
        shown = look.by_id.get(end["job_id"])
        if shown is not None:
            return key_of(shown) == key_of(end)
        # A later run is shown, or is among the last ends.
        is_all_known = look.is_complete and self._look_back.is_caught_up
        return end["job_id"] not in look.unread_ids and (
            is_all_known or not may_go_on(end["state"])
        )

    def _is_news(self, end: Job, look: Look, records: dict[str, list[Job]]) -> bool:
        """Return whether this end is a job's last, and slurmctld does not show that job."""
        shown = look.by_id.get(end["job_id"])
        if self._is_certain(end, look):
            return shown is None
        # Either there is a later run of the job, or Slurm uses the id again.
        runs = records.get(end["job_id"], [])
        if shown is not None and key_of(shown) not in map(key_of, runs):
            return False  # the database does not have the later one yet
        last = last_run_of(key_of(end), runs)
        return last is not None and key_of(last) == key_of(end)

    def lost(self) -> dict[Key, Tracked]:
        """Return the jobs that have been missing for too long. Their end is unknown."""
        most = _PASSES_WHEN_UNKNOWN if self._look_back.has_history else _PASSES_WITHOUT_HISTORY
        return {
            key: job
            for key, job in self._next.tracking.missing.items()
            if job.silent >= _PASSES_WHILE_SILENT or (job.passes >= most and not job.silent)
        }

    def finish_pass(self, now: float) -> None:
        """Save the progress: the events of the pass at ``now`` are spooled. Raise OSError."""
        tracking, lost = self._next.tracking, self.lost()
        missing = {key: job for key, job in tracking.missing.items() if key not in lost}
        state = self._next._replace(tracking=tracking._replace(missing=missing))
        save(self._file, state)
        self._state = self._next = state
        self._look_back.mark_reported(self._ends, now)
        self._ends = []


def _with_restarts(last: Job, key: Key, tracked: Tracked) -> Job:
    """Return a later run of the job with a restart count, by which it is known as the same job."""
    if "restart_count" in last or last.get("submit_time") in {None, key[1]}:
        return last
    return {**last, "restart_count": (tracked.restart_count or 0) + 1}
