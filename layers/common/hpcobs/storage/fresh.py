"""Samples that are known to be new go straight into their table; nearly all of them are.

A sample that is later than all that is stored of its job on its node cannot be stored already.
While the collector holds a job's lock nobody else adds samples to it, so such samples are copied
with no look at what is there, and are added up here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs.domain.rollups import hour_of
from hpcobs.storage.copying import GPU_TYPES, SAMPLE_TYPES, copy
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from hpcobs.domain.samples import GpuSample, QueuedSample
    from hpcobs.storage.connections import Connection

    Place = tuple[str, str]  # a job's id and a node

_SINK = load("sink")

_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)

_SUM_TYPES = (
    *("text", "text", "timestamptz", "timestamptz", "float8", "int8", "float8", "int8", "float8"),
    *("float8", "int8", "int8", "float8", "float8"),
)


class Held(NamedTuple):
    """A job that is locked: when it started, and where its run's statistics begin."""

    start_time: datetime
    since: datetime | None


@dataclass(slots=True)
class Routed:
    """Samples by the way they take; those in ``fresh`` are in order of time at each place."""

    fresh: dict[Place, list[QueuedSample]] = field(default_factory=dict)
    others: list[QueuedSample] = field(default_factory=list)


def hold(connection: Connection, job_ids: Collection[str]) -> dict[str, Held]:
    """Lock the jobs that are known of ``job_ids``."""
    rows = connection.execute(_SINK["lock_jobs"], {"ids": list(job_ids)})
    return {job_id: Held(start_time, since) for job_id, start_time, since in rows}


def route(connection: Connection, samples: Iterable[QueuedSample], jobs: dict[str, Held]) -> Routed:
    """Tell the samples that are later than all that is stored from those to be looked up."""
    rows = connection.execute(_SINK["latest"], {"ids": list(jobs)})
    newest: dict[Place, datetime] = {(job_id, node): latest for job_id, node, latest in rows}
    routed = Routed()
    fresh, others = routed.fresh, routed.others.append
    for sample in samples:
        job_id, at, node = sample[0], sample[1], sample[11]
        place = (job_id, node)
        after = newest.get(place) or _beginning(jobs.get(job_id))
        if after is None or at <= after:
            others(sample)
            continue
        newest[place] = at
        if place in fresh:
            fresh[place].append(sample)
        else:
            fresh[place] = [sample]
    return routed


def hours_of(routed: Routed) -> set[datetime]:
    """The hours in which the samples fall, and those between a place's first and last."""
    spans = [(group[0].timestamp, group[-1].timestamp) for group in routed.fresh.values()]
    spans += [(sample.timestamp, sample.timestamp) for sample in routed.others]
    return {hour for first, last in spans for hour in _hours(first, last)}


def _hours(first: datetime, last: datetime) -> Iterator[datetime]:
    hour = hour_of(first)
    while hour <= last:
        yield hour
        hour += timedelta(hours=1)


def _beginning(job: Held | None) -> datetime | None:
    """What a job's first sample has to be later than; None for a job that is not known."""
    if job is None:
        return None
    return _ALWAYS if job.since is None else job.since - _MOMENT


def store_fresh(
    connection: Connection, fresh: dict[Place, list[QueuedSample]], jobs: dict[str, Held]
) -> None:
    """Store samples that are new, and add them to the statistics of their jobs' nodes."""
    rows = (sample[:12] for group in fresh.values() for sample in group)
    copy(connection, _SINK["store_samples"], SAMPLE_TYPES, rows)
    copy(connection, _SINK["copy_sums"], _SUM_TYPES, _sums(fresh, jobs))
    connection.execute(_SINK["add_sums"])
    with_gpus = [sample for group in fresh.values() for sample in group if sample.gpus]
    if with_gpus:
        _store_gpus(connection, with_gpus)


def _sums(
    fresh: dict[Place, list[QueuedSample]], jobs: dict[str, Held]
) -> Iterator[tuple[Any, ...]]:
    """Rows of ``staged_sums``."""
    for (job_id, node), group in fresh.items():
        last = group[-1]
        cpu = [sample.cpu_usage for sample in group]
        gpu = [sample.gpu_usage for sample in group if sample.gpu_usage is not None]
        yield (
            *(job_id, node, jobs[job_id].start_time, last.timestamp),
            *(last.cpu_usage, last.memory_usage_mb, last.gpu_usage),
            *(len(cpu), sum(cpu), max(cpu)),
            max([sample.memory_usage_mb for sample in group]),
            *(len(gpu), sum(gpu), max(gpu, default=None)),
        )


def _store_gpus(connection: Connection, samples: Sequence[QueuedSample]) -> None:
    readings = [gpu for sample in samples for gpu in sample.gpus]
    copy(connection, _SINK["store_gpus"], GPU_TYPES, readings)
    latest: dict[tuple[str, str, str], GpuSample] = {
        (gpu.job_id, gpu.node, gpu.gpu_id): gpu for gpu in readings
    }
    copy(connection, _SINK["copy_gpus"], GPU_TYPES, latest.values())
    connection.execute(_SINK["know_jobs"], {"ids": list({sample.job_id for sample in samples})})
    connection.execute(_SINK["see_gpus"])
