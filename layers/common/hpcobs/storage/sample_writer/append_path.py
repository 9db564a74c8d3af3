"""The append path: samples that are certainly new are copied straight into their table.

A sample that is later than all stored samples of its job on its node cannot be stored already.
While the collector has locked the job, no other transaction adds samples to it. So such samples are
copied without a look-up, and are summed up here (ADR 0008). Nearly all samples take this path.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from hpcobs.domain.samples import hour_of
from hpcobs.storage.queries import load
from hpcobs.storage.sample_writer.copy import GPU_TYPES, SAMPLE_TYPES, SUM_TYPES, copy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from hpcobs.domain.samples import GpuSample, QueuedSample
    from hpcobs.storage.connections import Connection

    Place = tuple[str, str]  # a job's id and a node

_APPEND = load("append_path")
_WRITER = load("sample_writer")

_BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)
_AFTER_ALL = datetime.max.replace(tzinfo=UTC)
# The smallest step of PostgreSQL's timestamps: a run's first sample may be from its very start.
_STEP = timedelta(microseconds=1)


class LockedJob(NamedTuple):
    """A locked job: when it started, and from when on its run's samples count (None: from any).

    Samples after ``until`` are not the job's (None: it has not ended). ``is_reused`` means that
    Slurm has used its id again. Samples before ``first`` are not of this submission (None: there is
    no earlier one).
    """

    start_time: datetime
    statistics_since: datetime | None
    until: datetime | None = None
    is_reused: bool = False
    first: datetime | None = None

    def bounds(self) -> tuple[datetime, datetime] | None:
        """Return the times of the first and last sample that may be the job's (None: any)."""
        if self.until is None and self.first is None:
            return None
        return self.first or _BEFORE_ALL, self.until or _AFTER_ALL


@dataclass(slots=True)
class SplitSamples:
    """Samples by path. Those to append are in order of time for each job and node."""

    to_append: dict[Place, list[QueuedSample]] = field(default_factory=dict)
    to_merge: list[QueuedSample] = field(default_factory=list)

    def hours(self) -> set[datetime]:
        """Return the hours of the samples, and those between the first and last at each place."""
        spans = [(group[0].timestamp, group[-1].timestamp) for group in self.to_append.values()]
        spans += [(sample.timestamp, sample.timestamp) for sample in self.to_merge]
        return {hour for first, last in spans for hour in _hours(first, last)}


def split(
    connection: Connection, samples: Iterable[QueuedSample], jobs: dict[str, LockedJob]
) -> SplitSamples:
    """Separate the samples that are later than all stored ones from those to look up."""
    rows = connection.execute(_APPEND["latest"], {"ids": list(jobs)})
    newest: dict[Place, datetime] = {(job_id, node): latest for job_id, node, latest in rows}
    bounded = {job_id: found for job_id, job in jobs.items() if (found := job.bounds())}
    by_path = SplitSamples()
    # The hot loop: positions, local names and no calls, because millions of samples pass here.
    to_append, merge_later = by_path.to_append, by_path.to_merge.append
    for sample in samples:
        job_id, at, node = sample[0], sample[1], sample[11]
        place = (job_id, node)
        after = newest.get(place) or _before_first(jobs.get(job_id))
        if (
            after is None
            or at <= after
            or (job_id in bounded and not bounded[job_id][0] <= at <= bounded[job_id][1])
        ):
            merge_later(sample)
            continue
        newest[place] = at
        if place in to_append:
            to_append[place].append(sample)
        else:
            to_append[place] = [sample]
    return by_path


def _hours(first: datetime, last: datetime) -> Iterator[datetime]:
    hour = hour_of(first)
    while hour <= last:
        yield hour
        hour += timedelta(hours=1)


def _before_first(job: LockedJob | None) -> datetime | None:
    """Return what a job's first sample has to be later than, or None for an unknown job."""
    if job is None:
        return None
    return _BEFORE_ALL if job.statistics_since is None else job.statistics_since - _STEP


def append(
    connection: Connection, samples: dict[Place, list[QueuedSample]], jobs: dict[str, LockedJob]
) -> None:
    """Store new samples, and add them to the statistics of their jobs' nodes."""
    rows = (sample[:12] for group in samples.values() for sample in group)
    copy(connection, _APPEND["append_samples"], SAMPLE_TYPES, rows)
    copy(connection, _APPEND["stage_sums"], SUM_TYPES, _sums(samples, jobs))
    connection.execute(_WRITER["add_sums"])
    with_gpus = [sample for group in samples.values() for sample in group if sample.gpus]
    if with_gpus:
        _append_gpus(connection, with_gpus)


def _sums(
    samples: dict[Place, list[QueuedSample]], jobs: dict[str, LockedJob]
) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of ``staged_sums``."""
    for (job_id, node), group in samples.items():
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


def _append_gpus(connection: Connection, samples: Sequence[QueuedSample]) -> None:
    readings = [gpu for sample in samples for gpu in sample.gpus]
    copy(connection, _APPEND["append_gpus"], GPU_TYPES, readings)
    # The samples are in order of time, so the last reading of each GPU stays in the dictionary.
    latest: dict[tuple[str, str, str], GpuSample] = {
        (gpu.job_id, gpu.node, gpu.gpu_id): gpu for gpu in readings
    }
    copy(connection, _WRITER["stage_gpus"], GPU_TYPES, latest.values())
    ids = list({sample.job_id for sample in samples})
    connection.execute(_WRITER["stage_known_jobs"], {"ids": ids})
    connection.execute(_WRITER["update_latest_gpus"])
