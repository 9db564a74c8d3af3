"""Map slurmctld's jobs (slurmrestd, scontrol, squeue) to the contract's fields."""

from __future__ import annotations

from typing import Any

from hpcobs_forwarder.controller.values import (
    exit_of,
    gres_gpus,
    number,
    positive,
    resources,
    state,
    text,
    time,
)

_PENDING = frozenset(
    {
        *("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"),
        "RESV_DEL_HOLD",
    }
)
_RUNNING = frozenset(
    {"RUNNING", "COMPLETING", "SUSPENDED", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED"}
)


def is_pending(raw_state: str) -> bool:
    """Return whether the job waits to start."""
    return raw_state.partition("+")[0].upper() in _PENDING


def is_open(raw_state: str) -> bool:
    """Return whether the job waits or runs, so that its end is still to come."""
    return is_pending(raw_state) or raw_state.partition("+")[0].upper() in _RUNNING


def job_of(raw: dict[str, Any]) -> dict[str, Any] | None:
    """Return the job in the contract's fields, or None without an id, a user or a state."""
    job_id, raw_state = positive(raw.get("job_id")), state(raw.get("job_state"))
    user = text(raw.get("user_name")) or text(raw.get("user_id"))
    if job_id is None or raw_state is None or user is None:
        return None
    # Slurm fills the times in advance: a running job's end by its time limit, a pending job's start
    # by the scheduler's plan. Plans are left out.
    open_, pending = is_open(raw_state), is_pending(raw_state)
    exit_code, signal = (None, None) if open_ else exit_of(raw.get("exit_code"))
    return present(
        {
            "job_id": str(job_id),
            "user": user,
            "state": raw_state,
            **same_everywhere(raw),
            "submit_time": time(raw.get("submit_time")),
            "start_time": None if pending else time(raw.get("start_time")),
            "end_time": None if open_ else time(raw.get("end_time")),
            "exit_code": exit_code,
            "signal": signal,
            "state_reason": text(raw.get("state_reason")),
            "time_limit_minutes": number(raw.get("time_limit")),
            **allocation(resources(raw.get("tres_req_str")), _allocated(raw)),
            **array(raw.get("array_job_id"), raw.get("array_task_id")),
            "extra": extra(positive(raw.get("het_job_id"))),
        }
    )


def same_everywhere(raw: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that slurmctld and the accounting database name alike."""
    return {
        "node_list": text(raw.get("nodes"), None),  # a list of many nodes must not be cut
        "name": text(raw.get("name")),
        "partition": text(raw.get("partition")),
        "account": text(raw.get("account")),
        "qos": text(raw.get("qos")),
        "priority": number(raw.get("priority")),
        "restart_count": number(raw.get("restart_cnt")),
    }


def array(raw_job_id: Any, raw_task_id: Any) -> dict[str, str | None]:
    """Return the ids of a task's array and of the task in it, or no fields."""
    job_id, task_id = positive(raw_job_id), number(raw_task_id)
    if job_id is None:
        return {}
    return {"array_job_id": str(job_id), "array_task_id": text(task_id)}


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
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}
