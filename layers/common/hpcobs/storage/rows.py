"""A job as a row of ``jobs``, and back. An audit row's JSON snapshot is read the same way."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec.json import encode

from hpcobs.domain.events import RunEnd
from hpcobs.domain.jobs import (
    GpuVendor,
    Job,
    Precedence,
    Resources,
    SchedulerInfo,
    SchedulerType,
    Usage,
)
from hpcobs.domain.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

_RESOURCES = tuple(field.name for field in fields(Resources))
_USAGE = tuple(field.name for field in fields(Usage))
_SCHEDULER = tuple(field.name for field in fields(SchedulerInfo) if field.name != "type")
_PLAIN = (
    "name",
    "cluster_name",
    "scheduler_instance",
    "ingest_version",
    "array_job_id",
    "array_task_id",
    "restart_count",
    "start_estimated",
    "suspended_seconds",
)
_TIMES = (
    "start_time",
    "end_time",
    "statistics_since",
    "scheduler_seen_at",
    "suspended_since",
    "submission_at",
)


def to_parameters(job: Job) -> dict[str, Any]:
    """Return the job as a statement's parameters: its id, and its row as one JSON object."""
    # psycopg converts parameters one by one, so one text is far cheaper than 55 values.
    row = {name: value for name, value in to_row(job).items() if value is not None}
    return {"id": job.key, "job": encode(row).decode()}


def to_row(job: Job) -> dict[str, Any]:
    """Return the job's values by column: those of ``columns.jobs``, and its id."""
    row: dict[str, Any] = {name: getattr(job, name) for name in (*_PLAIN, *_TIMES)}
    row |= {name: getattr(job.resources, name) for name in _RESOURCES}
    row |= {name: getattr(job.usage, name) for name in _USAGE}
    row |= {name: getattr(job.scheduler, name, None) for name in _SCHEDULER}
    return row | {
        "id": job.key,
        "public_id": job.id if job.stored_as else None,
        "user_name": job.user,
        "nodes": ",".join(job.nodes),
        "node_count": job.node_count,
        "state": job.state,
        "runtime_seconds": job.runtime_seconds(job.end_time) if job.end_time else None,
        "scheduler_type": job.scheduler and job.scheduler.type,
        "run_by": job.run_by,
        "ended_by": job.ended_by,
    }


def from_row(row: Mapping[str, Any]) -> Job:
    """Return the job in a row or a snapshot. Columns that an old snapshot lacks are unknown."""
    return Job(
        id=row.get("public_id") or row["id"],
        stored_as=row["id"] if row.get("public_id") else None,
        user=row["user_name"],
        state=JobState(row["state"]),
        nodes=tuple(row["nodes"].split(",")) if row["nodes"] else (),
        resources=_resources(row),
        usage=_usage(row),
        scheduler=_scheduler(row),
        run_by=_run_by(row),
        ended_by=_maybe(Precedence, row.get("ended_by")),
        **_plain(row),
    )


def _run_by(row: Mapping[str, Any]) -> Precedence:
    if row.get("run_by") is not None:
        return Precedence(row["run_by"])
    # A job, or a snapshot, from before migration 0007.
    if row.get("scheduler_seen_at") is not None:
        return Precedence.CONTROLLER_SYNC
    return Precedence.CLAIM if row.get("start_estimated") else Precedence.NODE


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: _time(row.get(name)) for name in _TIMES}
    return {name: row[name] for name in _PLAIN if row.get(name) is not None} | times


def _resources(row: Mapping[str, Any]) -> Resources:
    known: dict[str, Any] = {name: row.get(name) for name in _RESOURCES}
    known["gpu_vendor"] = _maybe(GpuVendor, known["gpu_vendor"])
    for name in ("gpu_devices", "cpus_per_node"):
        known[name] = tuple(known[name] or ())
    return Resources(**known)


def _usage(row: Mapping[str, Any]) -> Usage:
    known: dict[str, Any] = {name: row.get(name) for name in _USAGE}
    known["last_sample_at"] = _time(known["last_sample_at"])
    known["sample_count"] = known["sample_count"] or 0
    return Usage(**known)


def _scheduler(row: Mapping[str, Any]) -> SchedulerInfo | None:
    if row.get("scheduler_type") is None:
        return None
    known: dict[str, Any] = {name: row.get(name) for name in _SCHEDULER}
    known["submit_time"] = _time(known["submit_time"])
    return SchedulerInfo(type=SchedulerType(row["scheduler_type"]), **known)


def end_from_row(row: Sequence[Any]) -> RunEnd:
    """Return the end in a row of ``node_ends`` or ``unmatched_ends``."""
    node, ended_at, by, state, exit_code, signal = row
    return RunEnd(
        node=node,
        ended_at=ended_at,
        by=Precedence(by),
        state=JobState(state),
        exit_code=exit_code,
        signal=signal,
    )


def end_parameters(job_id: str, end: RunEnd) -> dict[str, Any]:
    """Return an end of a job as a statement's parameters. An end of the whole job has no node."""
    return {
        "id": job_id,
        # The empty name stands for the whole job, because a primary key takes no NULL.
        "node": end.node or "",
        "ended_at": end.ended_at,
        "by": end.by.value,
        "state": end.state.value,
        "exit_code": end.exit_code,
        "signal": end.signal,
    }


def _time(value: datetime | str | None) -> datetime | None:
    # A row holds a datetime, a JSON snapshot a text.
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _maybe(kind: Callable[[Any], T], value: object) -> T | None:
    return None if value is None else kind(value)
