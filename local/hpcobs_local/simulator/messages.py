"""The messages that a site's hooks, forwarders and controller post, as the API's JSON bodies."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet

from hpcobs.domain.events import JobStarted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hpcobs.domain.events import JobFinished, SchedulerJob
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.domain.samples import GpuSample, Sample
    from hpcobs_local.simulator.cluster.readings import NodeReading

Body = dict[str, Any]

EVENTS = "/v1/events/jobs"
SAMPLES = "/v1/samples"
MAX_JOBS = 1000


@dataclass(frozen=True, slots=True)
class Message:
    """A body for a route. ``node`` is its sender, None for the controller."""

    path: str
    node: str | None
    body: Body


def hook_event(event: JobStarted | JobFinished) -> Message:
    """Return the message of a hook."""
    if isinstance(event, JobStarted):
        return Message("/v1/events/job-started", event.node, _started(event))
    return Message("/v1/events/job-finished", event.node, _finished(event))


def _started(event: JobStarted) -> Body:
    resources = event.resources
    return _known(
        job_id=event.job_id,
        user=event.user,
        node_list=_folded(event.nodes),
        timestamp=event.timestamp,
        node=event.node,
        cpu_allocation=resources.allocated_cpus,
        gpu_allocation=resources.allocated_gpus,
        gpu_vendor=resources.gpu_vendor,
        gpu_devices=resources.gpu_devices or None,
        partition=event.partition,
        account=event.account,
        cluster_name=event.cluster_name,
        name=event.name,
        array_job_id=event.array_job_id,
        array_task_id=event.array_task_id,
        restart_count=event.restart_count,
        source=event.source,
    )


def _finished(event: JobFinished) -> Body:
    return _known(
        job_id=event.job_id,
        user=event.user,
        node_list=_folded(event.nodes),
        timestamp=event.timestamp,
        node=event.node,
        final_state=event.final_state,
        exit_code=event.exit_code,
        signal=event.signal,
        cluster_name=event.cluster_name,
        restart_count=event.restart_count,
        source=event.source,
    )


def syncs(
    jobs: Sequence[SchedulerJob],
    nodes: Iterable[NodeReport],
    *,
    observed_at: datetime,
    cluster_name: str,
) -> list[Message]:
    """Return the controller's view in messages of MAX_JOBS jobs. The first one has the nodes."""
    reports = [
        _known(
            node=node.node,
            state=node.state,
            cpus=node.cpus,
            memory_total_mb=node.memory_total_mb,
            gpus=node.gpus,
        )
        for node in nodes
    ]
    bodies = [
        {
            "observed_at": observed_at,
            "cluster_name": cluster_name,
            "jobs": [_job(job) for job in jobs[first : first + MAX_JOBS]],
        }
        for first in range(0, max(1, len(jobs)), MAX_JOBS)
    ]
    bodies[0]["nodes"] = reports
    return [Message(EVENTS, None, body) for body in bodies]


def _job(job: SchedulerJob) -> Body:
    resources = job.resources
    return _known(
        job_id=job.job_id,
        user=job.user,
        state=job.raw_state,
        node_list=_folded(job.nodes) or None,
        submit_time=job.submit_time,
        start_time=job.start_time,
        end_time=job.end_time,
        name=job.name,
        partition=job.partition,
        account=job.account,
        qos=job.qos,
        priority=job.priority,
        exit_code=job.exit_code,
        signal=job.signal,
        state_reason=job.state_reason,
        time_limit_minutes=job.time_limit_minutes,
        requested_cpus=resources.requested_cpus,
        allocated_cpus=resources.allocated_cpus,
        requested_memory_mb=resources.requested_memory_mb,
        allocated_memory_mb=resources.allocated_memory_mb,
        requested_gpus=resources.requested_gpus,
        allocated_gpus=resources.allocated_gpus,
        array_job_id=job.array_job_id,
        array_task_id=job.array_task_id,
        restart_count=job.restart_count,
    )


def batch(readings: Sequence[NodeReading], *, cluster_name: str) -> Message:
    """Return the batch of one node's forwarder, made of its readings, oldest first."""
    latest = readings[-1].host
    body = {
        "node": latest.node,
        "batch_id": str(uuid.uuid4()),
        "cluster_name": cluster_name,
        "samples": [
            _sample(sample, reading.gpus) for reading in readings for sample in reading.samples
        ],
        "host": _known(
            cpus=latest.cpus,
            memory_total_mb=latest.memory_total_mb,
            memory_used_mb=latest.memory_used_mb,
            cpu_load=latest.cpu_load,
            gpus=latest.gpus,
        ),
    }
    return Message(SAMPLES, latest.node, body)


_OF_THE_BATCH = ("node",)
_OF_THE_SAMPLE = ("job_id", "timestamp", "node")


def _sample(sample: Sample, gpus: Iterable[GpuSample]) -> Body:
    entry = _known(**sample._asdict(), leave_out=_OF_THE_BATCH)
    # The API has a job's GPU readings within its sample.
    own = [gpu for gpu in gpus if gpu.job_id == sample.job_id]
    if own:
        entry["gpus"] = [_known(**gpu._asdict(), leave_out=_OF_THE_SAMPLE) for gpu in own]
    return entry


def _folded(nodes: Iterable[str]) -> str:
    """Fold node names as Slurm writes them: ``n[01-03]``."""
    return str(NodeSet.fromlist(list(nodes), resolver=RESOLVER_NOGROUP))


def _known(leave_out: Sequence[str] = (), **values: Any) -> Body:
    return {
        name: value for name, value in values.items() if value is not None and name not in leave_out
    }
