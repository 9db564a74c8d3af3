"""Compare what a service's API answers with the books: statistics, series, counters, the trail."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from tests.books.books import by_interval, statistics
from tests.books.comparison import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.books.books import Books, Truth
    from tests.books.database import Database
    from tests.books.messages import Event
    from tests.books.plan import Job, Sample
    from tests.books.sender import Sender
    from tests.local.services import Service

    Key = tuple[str, str, datetime]

ALL = 10_000


def compare_jobs(books: Books, samples: dict[Key, Sample], service: Service) -> Iterator[str]:
    """Compare each reported job's state and statistics."""
    for job in books.jobs:
        if job.public_id not in books.started:
            continue
        found = service.get(f"/v1/jobs/{job.public_id}")
        expected: dict[str, Any] = statistics(job, samples)
        expected["state"] = "completed" if job.runs[-1].end else "running"
        expected["restart_count"] = job.runs[-1].number
        # A job without samples or restarts may lack these.
        got = {name: found.get(name, 0 if expected[name] == 0 else None) for name in expected}
        yield from differences(f"job {job.public_id}, value", expected, got)


def compare_series(
    books: Books, samples: dict[Key, Sample], service: Service, sealed_before: datetime
) -> Iterator[str]:
    """Compare each reported job's series: raw, of five minutes, of an hour, and of GPUs."""
    for job in books.jobs:
        if job.public_id in books.started:
            own = {key: one for key, one in samples.items() if key[0] == job.public_id}
            yield from _compare_raw(job, own, service, sealed_before)
            for seconds in (300, 3600):
                yield from _compare_buckets(job, own, service, seconds)
            yield from _compare_gpus(job, own, service)


def _compare_raw(
    job: Job, samples: dict[Key, Sample], service: Service, sealed_before: datetime
) -> Iterator[str]:
    points = service.get(f"/v1/jobs/{job.public_id}/metrics", resolution="raw", limit=ALL)
    found = {
        (point["node"], datetime.fromisoformat(point["timestamp"])): (
            point["cpu_usage"],
            point["memory_usage_mb"],
        )
        for point in points["samples"]
    }
    expected = {
        (node, at): (sample.cpu, sample.memory_mb)
        for (_, node, at), sample in samples.items()
        if at >= sealed_before
    }
    yield from differences(f"job {job.public_id}, raw series", expected, found)


def _compare_buckets(
    job: Job, samples: dict[Key, Sample], service: Service, seconds: int
) -> Iterator[str]:
    points = service.get(f"/v1/jobs/{job.public_id}/metrics", resolution=seconds, limit=ALL)
    found = {
        datetime.fromisoformat(point["timestamp"]): (
            point["cpu_usage"],
            point["cpu_usage_max"],
            point["memory_usage_mb"],
            point["memory_usage_mb_max"],
        )
        for point in points["samples"]
    }
    by_time: dict[datetime, list[Any]] = {}
    for (_, _, at), sums in by_interval(samples, seconds).items():
        by_time.setdefault(at, []).append(sums)
    expected = {
        at: (
            sum(node.cpu for node in nodes) / sum(len(node.samples) for node in nodes),
            max(node.cpu_max for node in nodes),
            sum(node.memory / len(node.samples) for node in nodes),
            sum(node.memory_max for node in nodes),
        )
        for at, nodes in by_time.items()
    }
    yield from differences(f"job {job.public_id}, series of {seconds} s", expected, found)


def _compare_gpus(job: Job, samples: dict[Key, Sample], service: Service) -> Iterator[str]:
    points = service.get(f"/v1/jobs/{job.public_id}/gpus", resolution=3600, limit=ALL)
    found = {
        (point["node"], datetime.fromisoformat(point["timestamp"]), point["gpu_id"]): (
            point["utilization_percent"],
            point["utilization_percent_max"],
        )
        for point in points["samples"]
    }
    read: dict[Any, list[float]] = {}
    for (_, node, at), sums in by_interval(samples, 3600).items():
        for sample in sums.samples:
            for device in sample.devices:
                read.setdefault((node, at, device.gpu_id), []).append(device.utilization)
    expected = {place: (sum(values) / len(values), max(values)) for place, values in read.items()}
    yield from differences(f"job {job.public_id}, GPU series", expected, found)


def compare_counters(
    books: Books, truth: Truth, service: Service, *, rejected: int, is_calm: bool
) -> Iterator[str]:
    """Compare the collector's counters. Only without a kill is each delivery counted once."""
    with service.client() as client:
        values = {
            sample.name: sample.value
            for family in text_string_to_metric_families(client.get("/metrics").text)
            for sample in family.samples
            if not sample.labels
        }
    found = {name: values[name] for name in COUNTERS}
    expected = {
        "hpc_collector_samples_total": len(truth.stored),
        "hpc_collector_rejected_total": rejected,
        "hpc_collector_queue_depth": 0,
        "hpc_job_total": len(books.started),
    }
    yield from differences("counter", expected, found)
    duplicates, least = values["hpc_collector_duplicates_total"], truth.good_deliveries
    least -= len(truth.stored)
    most = least + truth.uncertain_deliveries if is_calm else float("inf")
    if not least <= duplicates <= most:
        yield f"hpc_collector_duplicates_total: books {least} to {most}, service {duplicates}"


COUNTERS = (
    "hpc_collector_samples_total",
    "hpc_collector_rejected_total",
    "hpc_collector_queue_depth",
    "hpc_job_total",
)


def compare_trail(sender: Sender, database: Database) -> Iterator[str]:
    """Compare the audit trail with the events: each change has a row, and each row an event."""
    rows = {row[0] for row in database.rows("SELECT correlation_id FROM job_audit_events")}
    missing = {
        name: event
        for name, (event, status) in sender.answers.items()
        if status != "skipped" and name not in rows and not _is_partial_end(event)
    }
    yield from differences("row of the trail", missing, {})
    if foreign := rows - sender.correlation_ids:
        yield f"{len(foreign)} rows of the trail belong to no event"
    query = """
        SELECT DISTINCT ON (trail.job_id) trail.job_id, jobs.state, job_snapshot ->> 'state'
        FROM job_audit_events AS trail JOIN jobs ON jobs.id = trail.job_id
        ORDER BY trail.job_id, trail.id DESC
    """
    for job_id, state, last in database.rows(query):
        if state != last:
            yield f"job {job_id} is {state}, its last row of the trail has {last}"


def _is_partial_end(event: Event) -> bool:
    """Return whether the event is the end of one node of several: the job goes on, unchanged."""
    return event.path.endswith("job-finished") and len(event.body["node_list"]) > 1
