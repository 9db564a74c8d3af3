"""Make write batches of decoded batches: rows to store, and rejected samples with reasons."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec.json import encode
from msgspec.structs import asdict, astuple

from hpcobs.domain.jobs import scoped_id
from hpcobs.domain.samples import GpuSample, HostReading, QueuedSample, RejectedSample
from hpcobs.ports.samples import WriteBatch
from hpcobs.wire.samples import GpuEntry, SampleEntry

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from hpcobs.domain.samples import SampleWindow
    from hpcobs.ports.queue import Message
    from hpcobs.wire.batches import DecodedBatch


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
                job_id=None,
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
        if not oldest <= entry.timestamp <= newest:
            write_batch.rejected.append(_outside_window(batch, position, entry, window))
            continue
        _, *fields, gpus = astuple(entry)
        job_id = prefix + entry.job_id
        devices = _gpus(job_id, entry.timestamp, node, gpus) if gpus else ()
        add(make((job_id, *fields, node, batch_id, position, devices)))


def _gpus(job_id: str, at: datetime, node: str, gpus: list[GpuEntry]) -> list[GpuSample]:
    """Return one reading for each GPU: the first, where a sample has two."""
    # COPY on the append path would fail at a second row with the same key.
    readings = {gpu.gpu_id: gpu for gpu in reversed(gpus)}
    return [GpuSample(job_id, at, node, *astuple(gpu)) for gpu in readings.values()]


def _outside_window(
    batch: DecodedBatch, position: int, entry: SampleEntry, window: SampleWindow
) -> RejectedSample:
    reason = f"samples[{position}].timestamp: {window.problem(entry.timestamp)}"
    payload = encode(entry).decode()
    return RejectedSample(
        batch_id=batch.batch_id,
        position=position,
        node=batch.node,
        job_id=entry.job_id,
        reason=reason,
        payload=payload,
        cluster_name=batch.cluster_name,
    )


def rejected_by_database(sample: QueuedSample, why: str) -> RejectedSample:
    """Return the rejected sample, with its JSON, for a sample that the database rejects."""
    gpus = [GpuEntry(*gpu[3:]) for gpu in sample.gpus]  # type: ignore[arg-type]
    entry = SampleEntry(*sample[:11], gpus=gpus)
    return RejectedSample(
        batch_id=sample.batch_id,
        position=sample.position,
        node=sample.node,
        job_id=sample.job_id,
        reason=f"samples[{sample.position}]: {why}",
        payload=encode(entry).decode(),
    )
