"""Map the accounting database's jobs (``sacct --json``) to the contract's fields."""

from __future__ import annotations

from typing import Any

from hpcobs_forwarder.controller.jobs import (
    allocation,
    array,
    extra,
    is_open,
    is_pending,
    present,
    same_everywhere,
)
from hpcobs_forwarder.controller.values import exit_of, number, positive, state, text, time


def job_of(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Return the job in the contract's fields, or None without an id, a user or a state."""
    states, times = _object(raw, "state"), _object(raw, "time")
    job_id, raw_state = positive(raw.get("job_id")), state(states.get("current"))
    user = text(raw.get("user")) or text(_object(raw, "association").get("user"))
    if job_id is None or raw_state is None or user is None:
        return None
    open_, tres, part_of = is_open(raw_state), _object(raw, "tres"), _object(raw, "array")
    exit_code, signal = (None, None) if open_ else exit_of(raw.get("exit_code"))
    return present(
        {
            "job_id": str(job_id),
            "user": user,
            "state": raw_state,
            **same_everywhere(raw),
            "submit_time": time(times.get("submission")),
            "start_time": None if is_pending(raw_state) else time(times.get("start")),
            "end_time": None if open_ else time(times.get("end")),
            "exit_code": exit_code,
            "signal": signal,
            "state_reason": text(states.get("reason")),
            "time_limit_minutes": number(times.get("limit")),
            **allocation(_resources(tres.get("requested")), _resources(tres.get("allocated"))),
            **array(part_of.get("job_id"), part_of.get("task_id")),
            "extra": extra(positive(_object(raw, "het").get("job_id"))),
        }
    )


def _object(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _resources(tres: Any) -> dict[str, int]:
    """Parse ``[{"type": "cpu", "count": 4}, …]`` into ``cpus``, ``memory_mb`` and ``gpus``."""
    found: dict[str, int] = {}
    for entry in tres if isinstance(tres, list) else []:
        if not isinstance(entry, dict):
            continue
        count, kind = positive(entry.get("count")), entry.get("type")
        if count is None:
            continue
        if kind == "cpu":
            found["cpus"] = count
        elif kind == "mem":
            found["memory_mb"] = count
        elif kind == "gres" and entry.get("name") == "gpu":
            found["gpus"] = count
    return found
