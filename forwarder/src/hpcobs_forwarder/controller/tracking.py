"""Which jobs slurmctld showed open in the last look, and which of them it shows no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from hpcobs_forwarder.controller.states import is_open, is_pending
from hpcobs_forwarder.controller.submissions import Key, is_same_job, key_of

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.look import Look

_ALWAYS_QUERIED = 20
"""Passes in which a missing job is queried each time."""
_QUERIED_EVERY = 20
"""Passes between two later queries. A job that the database calls open may stay so for ever."""


class Tracked(NamedTuple):
    """A job that waited or ran at ``seen_at``, in seconds since the epoch.

    A missing job has ``passes`` in which the accounting database did not have it, ``queries`` in
    which it was missing, and the ``silent`` passes since the database last responded.
    """

    pending: bool
    restart_count: int | None
    seen_at: float
    passes: int = 0
    queries: int = 0
    silent: int = 0

    @property
    def is_due(self) -> bool:
        """Whether the accounting database is to be queried for this missing job now."""
        return self.queries <= _ALWAYS_QUERIED or self.queries % _QUERIED_EVERY == 0


class Tracking(NamedTuple):
    """The open and the missing jobs by their keys."""

    open: dict[Key, Tracked]
    missing: dict[Key, Tracked]

    def after(self, look: Look, observed: float) -> Tracking:
        """Return the tracking after a look at slurmctld's jobs."""
        gone = {
            key: job
            for key, job in {**self.missing, **self.open}.items()
            if not _is_in(look, key, job)
        }
        open_ = {
            key_of(job): Tracked(is_pending(job["state"]), job.get("restart_count"), observed)
            for job in look.jobs
            if is_open(job["state"])
        }
        unread = {
            key: job
            for key, job in {**self.missing, **self.open}.items()
            if key[0] in look.unread_ids
        }
        missing = {key: job._replace(queries=job.queries + 1) for key, job in gone.items()}
        return Tracking({**unread, **open_}, missing)


def _is_in(look: Look, key: Key, tracked: Tracked) -> bool:
    job_id, submit_time = key
    job = look.by_id.get(job_id)
    if job is None:
        return job_id in look.unread_ids
    return is_same_job(submit_time, tracked.restart_count, job)
