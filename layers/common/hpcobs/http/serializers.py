"""Jobs, their series and trail, and health as the contract's JSON. None is left out.

The order of the fields is the order on the wire.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hpcobs.http import cursors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hpcobs.domain.audit import AuditEvent
    from hpcobs.domain.jobs import Job, SchedulerInfo
    from hpcobs.domain.queries import JobPage
    from hpcobs.domain.samples import GpuPoint, Sample, SamplePoint
    from hpcobs.service.health import CheckResult, HealthReport

View = dict[str, Any]


def known(values: Mapping[str, Any]) -> View:
    """Leave out each value that is None, and convert times to UTC."""
    # "Not known" and "zero" are different facts: a missing field cannot be read as a zero.
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def job(job: Job, *, now: datetime, stale_after: timedelta | None = None) -> View:
    """Return a job, with its runtime up to ``now`` while it runs.

    ``stale`` is True for a job without a report for ``stale_after``, and left out otherwise, as is
    ``suspended``. ``end_confirmed`` is False while only hooks have reported the end.
    """
    resources, usage = job.resources, job.usage
    return known(
        {
            "id": job.id,
            "user": job.user,
            "nodes": job.nodes,
            "node_count": job.node_count,
            "state": job.state.value,
            "stale": stale_after and (job.is_stale(now, after=stale_after) or None),
            "start_time": job.start_time,
            "suspended": job.is_suspended or None,
            "end_time": job.end_time,
            "end_confirmed": job.is_end_confirmed(now),
            "runtime_seconds": job.runtime_seconds(now),
            "cpu_usage": usage.cpu_usage,
            "memory_usage_mb": usage.memory_usage_mb,
            "gpu_usage": usage.gpu_usage,
            "requested_cpus": resources.requested_cpus,
            "allocated_cpus": resources.allocated_cpus,
            "requested_memory_mb": resources.requested_memory_mb,
            "allocated_memory_mb": resources.allocated_memory_mb,
            "requested_gpus": resources.requested_gpus,
            "allocated_gpus": resources.allocated_gpus,
            "cluster_name": job.cluster_name,
            "scheduler_instance": job.scheduler_instance,
            "ingest_version": job.ingest_version,
            "last_sample_at": usage.last_sample_at,
            "sample_count": usage.sample_count,
            "avg_cpu_usage": usage.avg_cpu_usage,
            "max_cpu_usage": usage.max_cpu_usage,
            "max_memory_usage_mb": usage.max_memory_usage_mb,
            "avg_gpu_usage": usage.avg_gpu_usage,
            "max_gpu_usage": usage.max_gpu_usage,
            "gpu_vendor": resources.gpu_vendor and resources.gpu_vendor.value,
            "gpu_devices": resources.gpu_devices or None,
            "cgroup_path": resources.cgroup_path,
            "name": job.name,
            "array_job_id": job.array_job_id,
            "array_task_id": job.array_task_id,
            "restart_count": job.restart_count,
            "scheduler": job.scheduler and scheduler(job.scheduler),
        }
    )


def page(page: JobPage, *, limit: int, offset: int, now: datetime, stale_after: timedelta) -> View:
    """Return a page of jobs, with ``next_cursor`` if there is a next page."""
    return known(
        {
            "jobs": [job(item, now=now, stale_after=stale_after) for item in page.jobs],
            "total": page.total,
            "limit": limit,
            "offset": offset,
            "next_cursor": page.next_position and cursors.encode(page.next_position),
        }
    )


def scheduler(info: SchedulerInfo) -> View:
    """Return the scheduler's facts on a job."""
    return _all_of(info)


def sample(sample: Sample) -> View:
    """Return a posted sample. Without a node it counts for the job's first."""
    # The path names the job already. What a client cannot post is None here, and so left out.
    return known({**sample._asdict(), "job_id": None, "node": sample.node or None})


def series(job_id: str, points: Sequence[SamplePoint] | Sequence[GpuPoint], total: int) -> View:
    """Return a job's series: raw samples, or buckets with averages and maxima."""
    return {"job_id": job_id, "samples": [_all_of(point) for point in points], "total": total}


def _all_of(value: SchedulerInfo | SamplePoint | GpuPoint) -> View:
    """Return all fields of a dataclass, whose names and order are those of the contract."""
    return known({name: getattr(value, name) for name in value.__slots__})


def audit(job_id: str, events: Sequence[AuditEvent]) -> View:
    """Return a job's changes, each with the job as it was afterwards."""
    return {"job_id": job_id, "events": [_audit_event(event, job_id) for event in events]}


def _audit_event(event: AuditEvent, job_id: str) -> View:
    return known(
        {
            "id": event.id,
            # Not the event's, which is the key of the stored job.
            "job_id": job_id,
            "change_type": event.change_type.value,
            "changed_at": event.changed_at,
            "changed_by": event.info.changed_by,
            "source": event.info.source,
            "correlation_id": event.info.correlation_id,
            "snapshot": job(event.snapshot, now=event.changed_at),
        }
    )


def health(report: HealthReport) -> View:
    """Return the service's state."""
    return {
        "status": report.status.value,
        "timestamp": report.timestamp.astimezone(UTC),
        "version": report.version,
        "checks": {name: _check(result) for name, result in report.checks.items()},
    }


def _check(result: CheckResult) -> View:
    return known(
        {
            "status": "ok" if result.ok else "failed",
            "duration_ms": result.duration_ms,
            "message": result.message,
        }
    )
