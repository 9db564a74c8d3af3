"""A job's samples as a test stores them, and their expected buckets."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.samples import GpuSample, QueuedSample, SamplePoint
from hpcobs.ports.samples import WriteBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hpcobs.domain.queries import SeriesQuery
    from hpcobs.domain.samples import Sample

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_batch(samples: Iterable[Sample]) -> WriteBatch:
    """Make a write batch of samples. Those with GPU usage have a GPU's reading too."""
    queued = [QueuedSample(**sample._asdict(), gpus=_readings(sample)) for sample in samples]
    return WriteBatch(samples=queued, hosts=[], rejected=[])


def _readings(s: Sample) -> tuple[GpuSample, ...]:
    if s.gpu_usage is None:
        return ()
    place = (s.job_id, s.timestamp, s.node)
    return (GpuSample(*place, "0", "nvidia", s.gpu_usage, s.memory_usage_mb),)


def expected(samples: Iterable[Sample], query: SeriesQuery) -> list[SamplePoint]:
    """Compute the buckets of the samples that a query selects."""
    assert query.resolution_seconds is not None
    width = timedelta(seconds=query.resolution_seconds)
    buckets: dict[datetime, list[Sample]] = defaultdict(list)
    for sample in samples:
        if _selected(sample, query):
            buckets[sample.timestamp - (sample.timestamp - EPOCH) % width].append(sample)
    return [_point(beginning, query.node, buckets[beginning]) for beginning in sorted(buckets)]


def _selected(sample: Sample, query: SeriesQuery) -> bool:
    return (
        query.node in (None, sample.node)
        and (query.start is None or query.start <= sample.timestamp)
        and (query.end is None or sample.timestamp < query.end)
    )


def _point(beginning: datetime, node: str | None, samples: list[Sample]) -> SamplePoint:
    memory: dict[str, list[int]] = defaultdict(list)
    for sample in samples:
        memory[sample.node].append(sample.memory_usage_mb)
    cpu = [sample.cpu_usage for sample in samples]
    gpu = [sample.gpu_usage for sample in samples if sample.gpu_usage is not None]
    return SamplePoint(
        timestamp=beginning,
        node=node,
        cpu_usage=sum(cpu) / len(cpu),
        memory_usage_mb=sum(sum(values) / len(values) for values in memory.values()),
        gpu_usage=sum(gpu) / len(gpu) if gpu else None,
        cpu_usage_max=max(cpu),
        memory_usage_mb_max=sum(max(values) for values in memory.values()),
        gpu_usage_max=max(gpu, default=None),
        count=len(samples),
    )
