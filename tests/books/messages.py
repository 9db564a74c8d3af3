"""JSON bodies as hooks, nodes and the controller send them, and samples with one fault each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.books.plan import HOME

if TYPE_CHECKING:
    from tests.books.plan import Job, Run, Sample

Body = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """A job event. ``node`` is None for one of the controller."""

    path: str
    body: Body
    cluster: str
    node: str | None


@dataclass(frozen=True)
class Entry:
    """A sample as it is sent: its JSON, its serial number, and the sample unless it is bad."""

    json: Body
    serial: int
    sample: Sample | None


@dataclass
class Batch:
    """A batch of one node. ``id`` need not be its own: nodes may have the same."""

    cluster: str
    node: str
    id: str
    entries: list[Entry]
    deliveries: list[int] = field(default_factory=list)
    """The phase of each delivery."""

    @property
    def body(self) -> Body:
        """Return the JSON of the batch."""
        samples = [entry.json for entry in self.entries]
        named = {"cluster_name": self.cluster} if self.cluster != HOME else {}
        return {"node": self.node, "batch_id": self.id, "samples": samples, **named}


def good(sample: Sample) -> Entry:
    """Return a sample as a node sends it."""
    entry: Body = {
        "job_id": sample.job_id,
        "timestamp": sample.at.isoformat(),
        "cpu_usage": sample.cpu,
        "memory_usage_mb": sample.memory_mb,
        "io_read_bytes_total": sample.serial,
    }
    if sample.devices:
        entry["gpu_usage"] = sample.gpu
        entry["gpus"] = [
            {
                "gpu_id": device.gpu_id,
                "gpu_vendor": "nvidia",
                "utilization_percent": device.utilization,
                "memory_used_mb": device.memory_mb,
                "power_watts": device.watts,
            }
            for device in sample.devices
        ]
    return Entry(entry, sample.serial, sample)


FAULTS: dict[str, Body] = {
    "too much CPU": {"cpu_usage": 100.5},
    "negative CPU": {"cpu_usage": -1},
    "CPU as text": {"cpu_usage": "50"},
    "no CPU": {"cpu_usage": None},
    "memory in parts": {"memory_usage_mb": 1.5},
    "negative memory": {"memory_usage_mb": -1},
    "unknown field": {"cpu_usge": 50},
    "no zone": {"timestamp": "2026-01-01T00:00:00"},
    "no time": {"timestamp": "yesterday"},
    "before all clocks": {"timestamp": "1969-12-31T23:59:59Z"},
    "job id with blank": {"job_id": "1 2"},
    "job id as number": {"job_id": 1},
    "too much GPU": {"gpu_usage": 101},
    "GPU without id": {"gpus": [{"gpu_vendor": "nvidia"}]},
    "GPU of no vendor": {"gpus": [{"gpu_id": "0", "gpu_vendor": "acme"}]},
}


def bad(sample: Sample, fault: str) -> Entry:
    """Return a sample with a fault, which must cost itself alone."""
    return Entry(good(sample).json | FAULTS[fault], sample.serial, None)


def _named(job: Job, run: Run) -> Body:
    array = {"array_job_id": job.id, "array_task_id": job.array} if job.array else {}
    cluster = {"cluster_name": job.cluster} if job.cluster != HOME else {}
    restart = {"restart_count": run.number}
    return (
        {"job_id": job.id, "user": job.user, "node_list": list(job.nodes)}
        | array
        | cluster
        | restart
    )


def prolog(job: Job, run: Run, node: str, *, late: timedelta = timedelta()) -> Event:
    """Return the start of a run on one node."""
    body = _named(job, run) | {
        "timestamp": (run.start + late).isoformat(),
        "node": node,
        "source": "prolog",
        "gpu_vendor": "nvidia" if job.gpus else "none",
    }
    return Event("/v1/events/job-started", body, job.cluster, node)


def controller_prolog(job: Job, run: Run, start: datetime) -> Event:
    """Return the start of a run from PrologSlurmctld, which knows every node's CPUs."""
    body = _named(job, run) | {
        "timestamp": start.isoformat(),
        "source": "prolog_slurmctld",
        "cpus_per_node": [4] * len(job.nodes),
    }
    return Event("/v1/events/job-started", body, job.cluster, None)


def epilog(job: Job, run: Run, node: str) -> Event:
    """Return the end of a run on one node."""
    assert run.end is not None
    body = {name: value for name, value in _named(job, run).items() if "array" not in name}
    body |= {
        "final_state": "completed",
        "timestamp": run.end.isoformat(),
        "node": node,
        "exit_code": 0,
        "source": "epilog",
    }
    return Event("/v1/events/job-finished", body, job.cluster, node)


def view(job: Job, observed_at: datetime, *, start: datetime | None = None) -> Event:
    """Return the controller's view of a job."""
    run = job.runs[-1]
    seen = {name: value for name, value in _named(job, run).items() if name != "cluster_name"}
    seen |= {
        "state": "COMPLETED" if run.end else "RUNNING",
        "start_time": (start or run.start).isoformat(),
    }
    if run.end:
        seen |= {"end_time": run.end.isoformat(), "exit_code": 0}
    if job.submitted:
        seen["submit_time"] = job.submitted.isoformat()
    body = {"observed_at": observed_at.isoformat(), "cluster_name": job.cluster, "jobs": [seen]}
    return Event("/v1/events/jobs", body, job.cluster, None)
