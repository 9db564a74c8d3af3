"""Map the accounting database's jobs (``sacct --json``) to the contract's fields."""

from __future__ import annotations

from typing import Any

from hpcobs_forwarder.controller.jobs import (
    allocation,
    array,
    extra,
    node_list,
    present,
    same_everywhere,
    started,
)
from hpcobs_forwarder.controller.states import is_open, is_suspended
from hpcobs_forwarder.controller.values import (
    exit_of,
    gpus_of,
    number,
    positive,
    reason,
    state,
    text,
    time,
)


def job_of(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Return the job in the contract's fields, or None without an id, a user or a state."""
    states, times = _object(raw, "state"), _object(raw, "time")
    job_id, raw_state = positive(raw.get("job_id")), state(raw.get("state"))
    user = text(raw.get("user")) or text(_object(raw, "association").get("user"))
    if job_id is None or raw_state is None or user is None:
        return None
    open_, tres, part_of = is_open(raw_state), _object(raw, "tres"), _object(raw, "array")
    exit_code, signal = (None, None) if open_ else exit_of(raw.get("exit_code"))
    nodes = node_list(raw)
    start = started(raw_state, nodes, times.get("start"), times.get("end"))
    return present(
        {
            "job_id": str(job_id),
            "user": user,
            "state": raw_state,
            "node_list": nodes,
            **same_everywhere(raw),
            "submit_time": time(times.get("submission")),
            "start_time": time(start),
            "end_time": None if open_ else time(times.get("end")),
            "suspended_seconds": _suspended(times, raw_state, start),
            "exit_code": exit_code,
            "signal": signal,
            # The database keeps why the job waited, which is not why it ended.
            "state_reason": None if start else reason(states.get("reason")),
            "time_limit_minutes": number(times.get("limit")),
            **allocation(_resources(tres.get("requested")), _resources(tres.get("allocated"))),
            **array(part_of.get("job_id"), part_of.get("task_id"), part_of.get("task")),
            "extra": extra(positive(_object(raw, "het").get("job_id"))),
        }
    )


def _object(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _suspended(times: dict[str, Any], raw_state: str, start: int | None) -> int | None:
    # For a job that is suspended now, the database does not show when that began.
    unknown = start is None or is_suspended(raw_state)
    return None if unknown else positive(times.get("suspended"))


def _resources(tres: Any) -> dict[str, int]:
    """Parse ``[{"type": "cpu", "count": 4}, …]`` into ``cpus``, ``memory_mb`` and ``gpus``."""
    counts: dict[str, int] = {}
    for entry in tres if isinstance(tres, list) else []:
        count = positive(entry.get("count")) if isinstance(entry, dict) else None
        if count is not None:
            name = entry.get("name") if entry.get("type") == "gres" else None
            counts[f"gres/{name}" if name else str(entry.get("type"))] = count
    gpus = gpus_of(counts, "gres/gpu")
    found = {"cpus": counts.get("cpu"), "memory_mb": counts.get("mem"), "gpus": gpus or None}
    return {name: count for name, count in found.items() if count is not None}
