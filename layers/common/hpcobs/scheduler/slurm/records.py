"""Map slurmrestd's job and node records to the domain. An invalid record or value costs itself."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct

from hpcobs.domain.errors import DomainError, InvalidInputError
from hpcobs.domain.events import SchedulerJob
from hpcobs.domain.nodes import NodeReport
from hpcobs.domain.states import from_slurm, is_suspended, waits
from hpcobs.domain.values import INT4_MAX, MAX_TEXT, MEMORY_MB_MAX, is_cluster, is_node
from hpcobs.scheduler.hostlists import expanded
from hpcobs.scheduler.slurm.decode import decode_record
from hpcobs.scheduler.slurm.faults import odd_fields
from hpcobs.scheduler.slurm.values import (
    YEAR_2200,
    at_most,
    exit_of,
    gpus_of_node,
    number,
    positive,
    reason,
    resources,
    state,
    text,
    time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from msgspec import Raw

_LARGEST_LOAD = 10**17
"""In hundredths: more than the API accepts from a node."""
_NODE_LIST = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ufffd]+")


class RawJob(Struct, kw_only=True):
    """A job record. See ``job_info`` in slurmrestd's OpenAPI document."""

    # Without types: a value of a wrong type must not cost the other values.
    job_id: Any = None
    job_state: Any = None
    user_name: Any = None
    user_id: Any = None
    cluster: Any = None
    nodes: Any = None
    submit_time: Any = None
    start_time: Any = None
    end_time: Any = None
    suspend_time: Any = None
    pre_sus_time: Any = None
    name: Any = None
    partition: Any = None
    account: Any = None
    qos: Any = None
    priority: Any = None
    exit_code: Any = None
    state_reason: Any = None
    time_limit: Any = None
    tres_req_str: Any = None
    tres_alloc_str: Any = None
    gres_detail: Any = None
    array_job_id: Any = None
    array_task_id: Any = None
    array_task_string: Any = None
    restart_cnt: Any = None
    het_job_id: Any = None

    @property
    def label(self) -> str:
        """The job's name in messages."""
        return f"job {number(self.job_id) or '?'}"


class RawNode(Struct, kw_only=True):
    """A node record. See ``node`` in slurmrestd's OpenAPI document."""

    name: Any = None
    state: Any = None
    state_flags: Any = None
    cluster_name: Any = None
    cpus: Any = None
    real_memory: Any = None
    cpu_load: Any = None
    gres: Any = None
    tres: Any = None

    @property
    def label(self) -> str:
        """The node's name in messages."""
        return f"node {text(self.name) or '?'}"


Record = TypeVar("Record", RawJob, RawNode)
Parsed = TypeVar("Parsed")


def parse_jobs(
    raws: Iterable[Raw], observed_at: datetime, faults: list[str] | None = None
) -> list[SchedulerJob]:
    """Return the valid jobs. Add what could not be read of the list to ``faults``."""
    return _each(raws, RawJob, lambda record: _job(record, observed_at), faults)


def parse_nodes(
    raws: Iterable[Raw], cluster_name: str | None, faults: list[str] | None = None
) -> list[NodeReport]:
    """Return the valid nodes. Add what could not be read of the list to ``faults``."""
    return _each(raws, RawNode, lambda record: _node(record, cluster_name), faults)


def _each(
    raws: Iterable[Raw],
    kind: type[Record],
    parse: Callable[[Record], Parsed],
    faults: list[str] | None,
) -> list[Parsed]:
    found = []
    faults = [] if faults is None else faults
    for raw in raws:
        name = "a record"
        # One record at a time: decoded together, one odd record would hide all others.
        try:
            record = decode_record(raw, kind)
            name = record.label
            found.append(parse(record))
        except (ValueError, DomainError) as error:
            faults.append(f"{name} was skipped: {error}")
        else:
            faults += (f"{name}: {field}" for field in odd_fields(record))
    return found


def _job(raw: RawJob, observed_at: datetime) -> SchedulerJob:
    """Return the job. Raise ValueError without an id or a user, DomainError without a state."""
    job_id, user = positive(raw.job_id), text(raw.user_name) or text(raw.user_id)
    if job_id is None or user is None:
        raise ValueError("it has no id" if job_id is None else "it has no user")
    raw_state = state(raw.job_state)
    return SchedulerJob(
        job_id=str(job_id),
        user=user,
        state=from_slurm(raw_state),
        raw_state=raw_state,
        observed_at=observed_at,
        cluster_name=_cluster(raw.cluster),
        **_run(raw, raw_state),
        **_queue(raw),
        **_array(raw),
        restart_count=at_most(INT4_MAX, number(raw.restart_cnt)),
        resources=resources(raw.tres_req_str, raw.tres_alloc_str, raw.gres_detail),
        extra=_extra(raw),
    )


def _run(raw: RawJob, raw_state: str) -> dict[str, Any]:
    """Return where and when the job runs or ran, and how it ended."""
    nodes = _nodes(raw.nodes)
    start = _start(raw, raw_state, has_nodes=bool(nodes))
    run = {
        "nodes": nodes,
        "submit_time": time(raw.submit_time),
        "start_time": time(start),
        **_suspensions(raw, raw_state, start),
    }
    # Slurm reports planned times as well: a running job's end, a waiting job's start. Before the
    # end, the exit code is only zero.
    if not from_slurm(raw_state).is_terminal:
        return run
    exit_code, signal = exit_of(raw.exit_code)
    return {**run, "end_time": time(raw.end_time), "exit_code": exit_code, "signal": signal}


def _queue(raw: RawJob) -> dict[str, Any]:
    """Return the job's name, and its place among the waiting jobs."""
    return {
        "name": text(raw.name),
        "partition": text(raw.partition),
        "account": text(raw.account),
        "qos": text(raw.qos),
        "priority": number(raw.priority),
        "state_reason": reason(raw.state_reason),
        "time_limit_minutes": at_most(INT4_MAX, number(raw.time_limit)),
    }


def _nodes(listed: Any) -> tuple[str, ...]:
    """Return the nodes, or none if the text is not a list of nodes."""
    names = text(listed, None)
    if names is None or not _NODE_LIST.fullmatch(names):
        return ()
    try:
        nodes = expanded(names)
    except InvalidInputError:
        return ()
    return nodes if max(map(len, nodes), default=0) <= MAX_TEXT else ()


def _start(raw: RawJob, raw_state: str, *, has_nodes: bool) -> int | None:
    """Return when the job started, or None if it never did."""
    start = positive(raw.start_time)
    if start is None or waits(raw_state):
        return None
    # Slurm sets both times of a job that is cancelled while it waits to the time of the cancel.
    ended = from_slurm(raw_state).is_terminal
    never_ran = ended and not has_nodes and start >= (positive(raw.end_time) or 0)
    return None if never_ran else start


def _suspensions(raw: RawJob, raw_state: str, start: int | None) -> dict[str, Any]:
    """Return how long the job was suspended before, and since when it is suspended now.

    Slurm sets ``suspend_time`` at each suspension and resumption. ``pre_sus_time`` is the time that
    the job ran before the last suspension (``_job_suspend_op`` in job_mgr.c).
    """
    changed, ran = positive(raw.suspend_time), number(raw.pre_sus_time)
    if start is None or changed is None or ran is None or not start <= changed < YEAR_2200:
        return {}
    since = datetime.fromtimestamp(changed, UTC) if is_suspended(raw_state) else None
    seconds = at_most(INT4_MAX, max(changed - start - ran, 0)) or 0
    return {"suspended_seconds": float(seconds), "suspended_since": since}


def _array(raw: RawJob) -> dict[str, Any]:
    """Return the ids of the array and of the task in it.

    The tasks that wait together are one job: its task id is their range, such as ``0-9%2``.
    """
    array_job_id = positive(raw.array_job_id)
    if array_job_id is None:
        return {}
    task_id = number(raw.array_task_id)
    tasks = raw.array_task_string if isinstance(raw.array_task_string, str) else None
    return {
        "array_job_id": str(array_job_id),
        "array_task_id": text(tasks) if task_id is None else str(task_id),
    }


def _extra(raw: RawJob) -> dict[str, str] | None:
    het_job_id = positive(raw.het_job_id)
    return {"het_job_id": str(het_job_id)} if het_job_id else None


def _cluster(value: Any) -> str | None:
    name = text(value)
    return name if name and is_cluster(name) else None


def _node(raw: RawNode, cluster_name: str | None) -> NodeReport:
    """Return the node. Raise ValueError without a name or a state."""
    name, base = text(raw.name), state(raw.state)
    if name is None or not is_node(name) or not base:
        raise ValueError("it has no state" if name else "it has no valid name")
    flags = raw.state_flags if isinstance(raw.state_flags, list) else []
    load = number(raw.cpu_load)  # in hundredths
    return NodeReport(
        node=name,
        state=state([base, *flags]).lower(),
        cluster_name=_cluster(raw.cluster_name) or cluster_name,
        cpus=at_most(INT4_MAX, positive(raw.cpus)),
        memory_total_mb=at_most(MEMORY_MB_MAX, positive(raw.real_memory)),
        gpus=gpus_of_node(raw.gres, raw.tres),
        cpu_load=None if load is None or load > _LARGEST_LOAD else load / 100,
    )
