"""Make write batches of decoded batches: rows to store, and rejected samples with reasons."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, astuple

from hpcobs.domain.jobs import scoped_id
from hpcobs.domain.rejecting import rejected_sample
from hpcobs.domain.samples import GpuSample, HostReading, QueuedSample, RejectedSample
from hpcobs.ports.samples import WriteBatch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hpcobs.domain.samples import SampleWindow
    from hpcobs.ports.queue import Message
    from hpcobs.wire.batches import DecodedBatch
    from hpcobs.wire.samples import GpuEntry


def write_batch_of(
    received: Iterable[tuple[Message, DecodedBatch]], window: SampleWindow, *, home_cluster: str
) -> WriteBatch:
    """Sort all received samples and readings into rows to store and rejected samples."""
    write_batch = WriteBatch(samples=[], hosts=[], rejected=[])
    # Two clusters may have a node of the same name.
    hosts: dict[tuple[str, str], HostReading] = {}
    # In order of sending, so that a node's latest reading is the last one here.
    for message, batch in sorted(received, key=lambda pair: pair[0].sent_at):
        cluster = batch.cluster_name or home_cluster
        earlier = hosts.get((cluster, batch.node)) or HostReading(
            batch.node, message.sent_at, cluster
        )
        hosts[cluster, batch.node] = _host(batch, message.sent_at, earlier)
        add_samples(write_batch, batch, window, home_cluster)
        write_batch.rejected.extend(
            RejectedSample(
                batch_id=batch.batch_id,
                position=entry.position,
                node=batch.node,
                job_id=entry.job_id,
                reason=entry.reason,
                payload=entry.payload,
                cluster_name=batch.cluster_name,
            )
            for entry in batch.rejected
        )
    write_batch.hosts.extend(hosts.values())
    return write_batch


def _host(batch: DecodedBatch, seen_at: datetime, earlier: HostReading) -> HostReading:
    """Return the node's reading. Values that the batch lacks stay as they were earlier."""
    values: dict[str, Any] = asdict(batch.host) if batch.host is not None else {}
    known = {name: value for name, value in values.items() if value is not None}
    return earlier._replace(seen_at=seen_at, **known)


def add_samples(
    write_batch: WriteBatch, batch: DecodedBatch, window: SampleWindow, home_cluster: str
) -> None:
    """Add a batch's samples to a write batch. Reject those outside the window.

    This is the hot path: an entry's fields are copied unchanged.
    """
    oldest, newest = window.oldest, window.newest
    node, batch_id, cluster = batch.node, batch.batch_id, batch.cluster_name
    # A cluster changes each of its jobs' ids in the same way, so one call does for all of them.
    prefix = scoped_id("", cluster=cluster, home_cluster=home_cluster)
    # Half the time of QueuedSample(…), which checks the number of values.
    add, make = write_batch.samples.append, partial(tuple.__new__, QueuedSample)
    for position, entry in zip(batch.positions, batch.entries, strict=True):
        reported_id, *fields, gpus = astuple(entry)
        job_id = prefix + reported_id
        devices = _gpus(job_id, entry.timestamp, node, gpus) if gpus else ()
        origin = (node, batch_id, position, cluster, reported_id, devices)
        sample = make((job_id, *fields, *origin))
        if oldest <= entry.timestamp <= newest:
            add(sample)
        else:
            write_batch.rejected.append(_outside_window(sample, window))


def _gpus(job_id: str, at: datetime, node: str, gpus: list[GpuEntry]) -> list[GpuSample]:
    """Return one reading for each GPU: the first, where a sample has two."""
    # COPY on the append path would fail at a second row with the same key.
    readings = {gpu.gpu_id: gpu for gpu in reversed(gpus)}
    return [GpuSample(job_id, at, node, *astuple(gpu)) for gpu in readings.values()]


def _outside_window(sample: QueuedSample, window: SampleWindow) -> RejectedSample:
    problem = window.problem(sample.timestamp)
    return rejected_sample(sample, f"samples[{sample.position}].timestamp: {problem}")


def rejected_by_database(sample: QueuedSample, why: str) -> RejectedSample:
    """Return the rejected sample, with its JSON, for a sample that the database rejects."""
    return rejected_sample(sample, f"samples[{sample.position}]: {why}")
