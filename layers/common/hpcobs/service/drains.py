"""From decoded batches to a drain: rows for the database, and what is set aside with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hpcobs.domain.jobs import scoped_id
from hpcobs.domain.samples import GpuSample, HostReading, QueuedSample, RejectedSample
from hpcobs.ports.samples import Drain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hpcobs.ports.queue import Message
    from hpcobs.wire.decoding import DecodedBatch
    from hpcobs.wire.samples import SampleEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which samples can be stored now: those from ``oldest`` to ``newest``."""

    home_cluster: str
    oldest: datetime
    newest: datetime


def drain_of(received: Iterable[tuple[Message, DecodedBatch]], window: Window) -> Drain:
    """Everything that was received, sorted into what is stored and what is set aside."""
    drain = Drain(samples=[], gpus=[], hosts=[], rejected=[])
    for message, batch in received:
        _add_host(drain, batch, message.sent_at)
        _add_samples(drain, batch, window)
        drain.rejected.extend(
            RejectedSample(
                batch.batch_id, refused.position, batch.node, None, refused.reason, refused.payload
            )
            for refused in batch.refused
        )
    return drain


def _add_host(drain: Drain, batch: DecodedBatch, seen_at: datetime) -> None:
    host = batch.host
    told = (
        (None,) * 5
        if host is None
        else (host.cpus, host.memory_total_mb, host.memory_used_mb, host.cpu_load, host.gpus)
    )
    drain.hosts.append(HostReading(batch.node, seen_at, batch.cluster_name, *told))


def _add_samples(drain: Drain, batch: DecodedBatch, window: Window) -> None:
    """The hot path: plain tuples, and nothing computed twice."""
    batch_id, node = batch.batch_id, batch.node
    home = batch.cluster_name in (None, window.home_cluster)
    for position, entry in zip(batch.positions, batch.entries, strict=True):
        at = entry.timestamp
        if not window.oldest <= at <= window.newest:
            drain.rejected.append(_out_of_time(batch, position, entry, window))
            continue
        job_id = entry.job_id if home else _scoped(entry.job_id, batch, window)
        drain.samples.append(
            QueuedSample(
                batch_id,
                position,
                job_id,
                at,
                node,
                entry.cpu_usage,
                entry.memory_usage_mb,
                entry.gpu_usage,
                entry.memory_peak_mb,
                entry.oom_kills,
                entry.cpu_seconds_total,
                entry.cpu_throttled_seconds_total,
                entry.io_read_bytes_total,
                entry.io_write_bytes_total,
            )
        )
        for gpu in entry.gpus:
            drain.gpus.append(
                GpuSample(
                    job_id,
                    at,
                    node,
                    gpu.gpu_id,
                    gpu.gpu_vendor,
                    gpu.utilization_percent,
                    gpu.memory_used_mb,
                    gpu.memory_total_mb,
                    gpu.power_watts,
                    gpu.temperature_celsius,
                )
            )


def _scoped(job_id: str, batch: DecodedBatch, window: Window) -> str:
    return scoped_id(job_id, cluster=batch.cluster_name, home_cluster=window.home_cluster)


def _out_of_time(
    batch: DecodedBatch, position: int, entry: SampleEntry, window: Window
) -> RejectedSample:
    why = (
        "is from the future"
        if entry.timestamp > window.newest
        else "is older than samples are kept"
    )
    reason = f"samples[{position}].timestamp: {why}"
    payload = msgspec.json.encode(entry).decode()
    job_id = _scoped(entry.job_id, batch, window)
    return RejectedSample(batch.batch_id, position, batch.node, job_id, reason, payload)
