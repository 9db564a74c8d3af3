"""Decide whether two records of one job id are of one job.

Slurm uses an id again after a wrap, a new FirstJobId, or a start without its state. A requeue keeps
the id too, and sets a new submit time as well: only its restart count grows (``batch_requeue_fini``
in Slurm's job_mgr.c).
"""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import Any

from hpcobs_forwarder.controller.states import goes_on, may_go_on

Key = tuple[str, "str | None"]
Job = dict[str, Any]

_REQUEUE_SECONDS = 600.0
"""A requeued job gets its new submit time when its Epilogs have ended."""


def key_of(job: Job) -> Key:
    """Return the id and the submit time of a job."""
    return job["job_id"], job.get("submit_time")


def is_same_job(submit_time: str | None, restart_count: int | None, now: Job) -> bool:
    """Return whether the job of an earlier look is ``now``, which has the same id."""
    submitted, restarts = now.get("submit_time"), now.get("restart_count")
    if submit_time is None or submitted is None or submit_time == submitted:
        return True
    if restarts == 0:
        return False  # a first run has no earlier ones
    # If a count is unknown, nothing is concluded. Equal counts are of one run: while its Epilogs
    # run, a requeued job already has the new count, but still the submit time of the run before.
    return restarts is None or restart_count is None or restarts >= restart_count


def last_runs(records: list[Job]) -> list[Job]:
    """Return the accounting database's records without the earlier runs of requeued jobs."""
    found: list[Job] = []
    for _, same_id in groupby(sorted(records, key=_order), key=lambda record: record["job_id"]):
        found += (run for run, later in _pairs(list(same_id)) if not _goes_on_in(run, later))
    return found


def last_run_of(key: Key, records: list[Job]) -> Job | None:
    """Return the record with the last run of the job ``key``, or None if it is not known."""
    job_id, submit_time = key
    runs = sorted((record for record in records if record["job_id"] == job_id), key=_order)
    known = {None, submit_time} if submit_time else {record.get("submit_time") for record in runs}
    candidates = [place for place, run in enumerate(runs) if run.get("submit_time") in known]
    if not candidates:
        return None
    place = candidates[-1]
    while _goes_on_in(runs[place], runs[place + 1] if place + 1 < len(runs) else None):
        place += 1
        if place == len(runs):
            return None  # the next run is not stored yet
    return runs[place]


def _order(record: Job) -> tuple[str, str]:
    return record["job_id"], record.get("submit_time") or ""


def _pairs(runs: list[Job]) -> list[tuple[Job, Job | None]]:
    return list(zip(runs, [*runs[1:], None]))


def _goes_on_in(run: Job, later: Job | None) -> bool:
    """Return whether a requeue ended ``run``, and ``later`` is the next run."""
    if goes_on(run["state"]):
        return True
    if later is None:
        return False
    if later.get("restart_count") is not None:
        return bool(later["restart_count"] > 0)
    # Before 24.11 the database has no restart count.
    identity = ("user", "name", "account", "partition")
    seconds = _seconds_between(run.get("end_time"), later.get("submit_time"))
    return (
        may_go_on(run["state"])
        and 0 <= seconds <= _REQUEUE_SECONDS
        and all(run.get(name) == later.get(name) for name in identity)
    )


def _seconds_between(earlier: str | None, later: str | None) -> float:
    if earlier is None or later is None:
        return -1.0
    first, second = (datetime.fromisoformat(one.replace("Z", "+00:00")) for one in (earlier, later))
    return (second - first).total_seconds()
