"""Parse slurmrestd's job and node records. An invalid record is skipped and logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from hpcobs.domain.errors import DomainError
from hpcobs.domain.events import SchedulerJob
from hpcobs.domain.nodes import NodeReport
from hpcobs.domain.states import JobState, from_slurm, is_suspended
from hpcobs.scheduler.hostlists import expanded
from hpcobs.scheduler.slurm.values import (
    ExitCode,
    Number,
    exit_of,
    gpus_of_node,
    number,
    resources,
    state,
    text,
    time,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

logger = logging.getLogger(__name__)


class RawJob(Struct, kw_only=True):
    """A job record. See ``job_info`` in slurmrestd's OpenAPI document."""

    job_id: Number
    job_state: str | list[str]
    user_name: str | None = None
    user_id: int | None = None
    cluster: str | None = None
    nodes: str | None = None
    submit_time: Number = None
    start_time: Number = None
    end_time: Number = None
    name: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    priority: Number = None
    exit_code: int | ExitCode | None = None
    state_reason: str | None = None
    time_limit: Number = None
    tres_req_str: str | None = None
    tres_alloc_str: str | None = None
    gres_detail: list[str] | None = None
    array_job_id: Number = None
    array_task_id: Number = None
    restart_cnt: Number = None
    het_job_id: Number = None


class RawNode(Struct, kw_only=True):
    """A node record. See ``node`` in slurmrestd's OpenAPI document."""

    name: str
    state: str | list[str]
    state_flags: list[str] = field(default_factory=list)
    cluster_name: str | None = None
    cpus: Number = None
    real_memory: Number = None
    cpu_load: Number = None
    gres: str | None = None
    tres: str | None = None


def parse_jobs(raws: Iterable[msgspec.Raw], observed_at: datetime) -> list[SchedulerJob]:
    """Return the valid jobs. Log the others."""
    found = []
    for raw in raws:
        # One record at a time: decoded together, one odd job would hide all others.
        try:
            found.append(_job(msgspec.json.decode(raw, type=RawJob), observed_at))
        except (msgspec.DecodeError, DomainError) as error:
            logger.warning("skipped an invalid job from slurmrestd: %s", error)
    return found


def parse_nodes(raws: Iterable[msgspec.Raw], cluster_name: str | None) -> list[NodeReport]:
    """Return the valid nodes. Log the others."""
    found = []
    for raw in raws:
        try:
            found.append(_node(msgspec.json.decode(raw, type=RawNode), cluster_name))
        except msgspec.DecodeError as error:
            logger.warning("skipped an invalid node from slurmrestd: %s", error)
    return found


def _job(raw: RawJob, observed_at: datetime) -> SchedulerJob:
    raw_state = state(raw.job_state)
    normal = from_slurm(raw_state)
    # Slurm reports planned times as well: a running job's end, a waiting job's start. Before the
    # end, the exit code is only zero.
    waits = normal is JobState.PENDING and not is_suspended(raw_state)
    exit_code, signal = exit_of(raw.exit_code) if normal.is_terminal else (None, None)
    array_job_id = number(raw.array_job_id) or None
    het_job_id = number(raw.het_job_id)
    return SchedulerJob(
        job_id=str(number(raw.job_id)),
        user=text(raw.user_name) or text(raw.user_id) or "unknown",
        state=normal,
        raw_state=raw_state,
        observed_at=observed_at,
        nodes=expanded(raw.nodes if raw.nodes and text(raw.nodes) else ""),
        submit_time=time(raw.submit_time),
        start_time=None if waits else time(raw.start_time),
        end_time=time(raw.end_time) if normal.is_terminal else None,
        name=text(raw.name),
        partition=text(raw.partition),
        account=text(raw.account),
        qos=text(raw.qos),
        priority=number(raw.priority),
        exit_code=exit_code,
        signal=signal,
        state_reason=text(raw.state_reason),
        time_limit_minutes=number(raw.time_limit),
        cluster_name=text(raw.cluster),
        array_job_id=text(array_job_id),
        array_task_id=text(number(raw.array_task_id)) if array_job_id else None,
        restart_count=number(raw.restart_cnt),
        resources=resources(raw.tres_req_str, raw.tres_alloc_str, raw.gres_detail),
        extra={"het_job_id": str(het_job_id)} if het_job_id else None,
    )


def _node(raw: RawNode, cluster_name: str | None) -> NodeReport:
    load = number(raw.cpu_load)  # in hundredths
    return NodeReport(
        node=raw.name,
        state="+".join([state(raw.state), *raw.state_flags]).lower(),
        cluster_name=text(raw.cluster_name) or cluster_name,
        cpus=number(raw.cpus) or None,
        memory_total_mb=number(raw.real_memory) or None,
        gpus=gpus_of_node(raw.gres, raw.tres),
        cpu_load=None if load is None else load / 100,
    )
