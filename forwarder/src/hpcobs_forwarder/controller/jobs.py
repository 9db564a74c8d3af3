"""Map slurmctld's jobs (slurmrestd, scontrol, squeue) to the contract's fields."""

from __future__ import annotations

import re
from typing import Any

from hpcobs_forwarder.clock import rfc3339
from hpcobs_forwarder.controller.states import is_open, is_pending, is_suspended
from hpcobs_forwarder.controller.values import (
    YEAR_2200,
    exit_of,
    gres_gpus,
    number,
    positive,
    reason,
    resources,
    state,
    text,
    time,
)

_LARGEST = 2**31 - 1
_LARGEST_OF = {
    "priority": 2**63 - 1,
    "requested_memory_mb": 2**40,
    "allocated_memory_mb": 2**40,
    "memory_total_mb": 2**40,
}
"""The largest numbers of the contract. The site rejects a job with a larger one as a whole."""
_RANGES = r"\[\d{1,18}(?:-\d{1,18})?(?:,\d{1,18}(?:-\d{1,18})?)*\](?!\[)"
_NODE = rf"[A-Za-z0-9](?:[A-Za-z0-9._-]|{_RANGES})*"
_NODES = re.compile(rf"(?!.*[^,\[\]]{{256}}){_NODE}(?:,{_NODE})*", re.ASCII)
"""Slurm's notation, with names of up to 255 characters. Any other text would cost the whole job."""


def job_of(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Return the job in the contract's fields, or None without an id, a user or a state."""
    job_id, raw_state = positive(raw.get("job_id")), state(raw.get("job_state"))
    user = text(raw.get("user_name")) or text(raw.get("user_id"))
    if job_id is None or raw_state is None or user is None:
        return None
    # Slurm fills the times in advance: a running job's end by its time limit, a pending job's start
    # by the scheduler's plan. Plans are left out.
    open_, nodes = is_open(raw_state), node_list(raw)
    exit_code, signal = (None, None) if open_ else exit_of(raw.get("exit_code"))
    start = started(raw_state, nodes, raw.get("start_time"), raw.get("end_time"))
    return present(
        {
            "job_id": str(job_id),
            "user": user,
            "state": raw_state,
            "node_list": nodes,
            **same_everywhere(raw),
            "submit_time": time(raw.get("submit_time")),
            "start_time": time(start),
            "end_time": None if open_ else time(raw.get("end_time")),
            **_suspensions(raw, raw_state, start),
            "exit_code": exit_code,
            "signal": signal,
            "state_reason": reason(raw.get("state_reason")),
            "time_limit_minutes": number(raw.get("time_limit")),
            **allocation(resources(raw.get("tres_req_str")), _allocated(raw)),
            **array(
                raw.get("array_job_id"), raw.get("array_task_id"), raw.get("array_task_string")
            ),
            "extra": extra(positive(raw.get("het_job_id"))),
        }
    )


def node_list(raw: dict[str, Any]) -> str | None:
    """Return the job's nodes in Slurm's notation, or None without any."""
    nodes = text(raw.get("nodes"), None)  # a list of many nodes must not be cut
    return nodes if nodes and _NODES.fullmatch(nodes) else None


def same_everywhere(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that slurmctld and the accounting database name alike."""
    return {
        "name": text(raw.get("name")),
        "partition": text(raw.get("partition")),
        "account": text(raw.get("account")),
        "qos": text(raw.get("qos")),
        "priority": number(raw.get("priority")),
        "restart_count": number(raw.get("restart_cnt")),
    }


def started(raw_state: str, nodes: str | None, start: Any, end: Any) -> int | None:
    """Return when the job started, or None if it never did."""
    started_at, ended_at = positive(start), positive(end)
    if started_at is None or is_pending(raw_state):
        return None
    # Slurm sets both times of a job that is cancelled while it waits to the time of the cancel.
    never_ran = not is_open(raw_state) and nodes is None and started_at >= (ended_at or 0)
    return None if never_ran else started_at


def _suspensions(raw: dict[str, Any], raw_state: str, start: int | None) -> dict[str, Any]:
    """Return how long the job was suspended before, and since when it is suspended now."""
    # job_mgr.c: each suspension and resumption sets suspend_time to its time. A suspension adds the
    # time since the last resumption (or the start) to pre_sus_time.
    changed, ran = positive(raw.get("suspend_time")), number(raw.get("pre_sus_time"))
    if start is None or changed is None or ran is None or not start <= changed < YEAR_2200:
        return {}
    total = max(changed - start - ran, 0)
    since = {"suspended_since": rfc3339(changed)} if is_suspended(raw_state) else {}
    return {"suspended_seconds": total, **since}


def array(raw_job_id: Any, raw_task_id: Any, raw_tasks: Any) -> dict[str, str | None]:
    """Return the ids of a task's array and of the task in it, or no fields.

    The tasks that wait together are one job: its task id is their range, such as ``0-9%2``.
    """
    job_id, task_id = positive(raw_job_id), number(raw_task_id)
    if job_id is None:
        return {}
    tasks = text(task_id)
    if tasks is None and isinstance(raw_tasks, str):
        tasks = text(raw_tasks)
    return {"array_job_id": str(job_id), "array_task_id": tasks}


def _allocated(raw: dict[str, Any]) -> dict[str, int]:
    """Return the job's resources."""
    # gres_detail has the GPUs where AccountingStorageTRES lacks gres/gpu. Otherwise TRES wins.
    gpus = gres_gpus(raw.get("gres_detail"))
    return {**({"gpus": gpus} if gpus else {}), **resources(raw.get("tres_alloc_str"))}


def allocation(requested: dict[str, int], allocated: dict[str, int]) -> dict[str, int]:
    """Return requested and allocated resources in the contract's fields."""
    return {
        **{f"requested_{name}": count for name, count in requested.items()},
        **{f"allocated_{name}": count for name, count in allocated.items()},
    }


def extra(het_job_id: int | None) -> dict[str, str] | None:
    """Return the values for which the contract has no field, or None."""
    return None if het_job_id is None else {"het_job_id": str(het_job_id)}


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that have a value within the contract's limits."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None
        and not (isinstance(value, int) and value > _LARGEST_OF.get(name, _LARGEST))
    }
