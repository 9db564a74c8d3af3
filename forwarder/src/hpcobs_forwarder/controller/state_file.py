"""What the controller role keeps over a restart, as a file in the spool."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs_forwarder.controller.tracking import Tracked, Tracking

if TYPE_CHECKING:
    from hpcobs_forwarder.controller.submissions import Key
    from hpcobs_forwarder.spool.fallback import KeptFile


class State(NamedTuple):
    """The tracked jobs, and the time up to which the accounting database was read."""

    tracking: Tracking
    read_until: float | None


def load(file: KeptFile) -> State:
    """Return the newest saved state, or an empty one if there is none that is whole."""
    states = (_state_in(text) for text in file.read())
    return next(filter(None, states), State(Tracking({}, {}), None))


def _state_in(text: str) -> State | None:
    try:
        saved = json.loads(text)
        tracking = Tracking(_jobs(saved.get("open")), _jobs(saved.get("missed")))
        return State(tracking, _seconds(saved.get("read_until", saved.get("observed"))))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None  # the file is damaged


def save(file: KeptFile, state: State) -> None:
    """Replace the file. Raise OSError if that fails."""
    saved = {
        "read_until": state.read_until,
        "open": _rows(state.tracking.open),
        "missed": _rows(state.tracking.missing),
    }
    file.write(json.dumps(saved, separators=(",", ":")))


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
