"""What the controller role keeps over a restart, as a file in the spool."""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.controller.tracking import Tracked, Tracking

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.submissions import Key


class State(NamedTuple):
    """The tracked jobs, and the time up to which the accounting database was read."""

    tracking: Tracking
    read_until: float | None


def load(path: str) -> State:
    """Return the saved state, or an empty one if the file is absent or damaged."""
    try:
        with open(path, encoding="ascii") as file:
            saved = json.load(file)
        tracking = Tracking(_jobs(saved.get("open")), _jobs(saved.get("missed")))
        return State(tracking, _seconds(saved.get("read_until", saved.get("observed"))))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return State(Tracking({}, {}), None)


def save(path: str, state: State) -> None:
    """Replace the file. Raise OSError if that fails."""
    temporary = f"{path}.new"
    saved = {
        "read_until": state.read_until,
        "open": _rows(state.tracking.open),
        "missed": _rows(state.tracking.missing),
    }
    # By rename: a kill in between leaves the old file, not half of a new one.
    with open(temporary, "w", encoding="ascii") as file:
        json.dump(saved, file, separators=(",", ":"))
    os.replace(temporary, path)


def _seconds(value: Any) -> float | None:
    if value is None:
        return None
    seconds = float(value)
    if not math.isfinite(seconds):
        raise ValueError("no time")
    return seconds


def _rows(jobs: dict[Key, Tracked]) -> list[list[Any]]:
    return [[*key, *job] for key, job in jobs.items()]


def _jobs(saved: Any) -> dict[Key, Tracked]:
    if isinstance(saved, dict):  # earlier versions kept no submit time
        saved = [[job_id, None, *job] for job_id, job in saved.items()]
    jobs: dict[Key, Tracked] = {}
    for job_id, submit_time, *job in saved or ():
        submitted = submit_time if submit_time is None else str(submit_time)
        jobs[str(job_id), submitted] = Tracked(*job)
    return jobs
