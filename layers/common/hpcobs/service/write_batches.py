"""From decoded batches to a drain: rows for the database, and what is set aside with its reason."""

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
    from hpcobs.wire.decoding import DecodedBatch


def write_batch_of(
    received: Iterable[tuple[Message, DecodedBatch]], window: SampleWindow, *, home_cluster: str
) -> WriteBatch:
    """Everything that was received, sorted into what is stored and what is set aside."""
    drain = WriteBatch(samples=[], hosts=[], rejected=[])
    hosts: dict[str, HostReading] = {}
    for message, batch in sorted(received, key=lambda pair: pair[0].sent_at):
        hosts[batch.node] = _host(batch, message.sent_at, hosts.get(batch.node))
        add_samples(drain, batch, window, home_cluster)
        drain.rejected.extend(
            RejectedSample(
                batch_id=batch.batch_id,
                position=refused.position,
                node=batch.node,
                job_id=None,
                reason=refused.reason,
                payload=refused.payload,
                cluster_name=batch.cluster_name,
            )
            for refused in batch.refused
        )
    drain.hosts.extend(hosts.values())
    return drain


def _host(batch: DecodedBatch, seen_at: datetime, before: HostReading | None) -> HostReading:
    """What the node told last, joined with what it had told before."""
    told: dict[str, Any] = {"cluster_name": batch.cluster_name}
    if batch.host is not None:
        told |= asdict(batch.host)
    known = before or HostReading(batch.node, seen_at)
    news = {name: value for name, value in told.items() if value is not None}
    return known._replace(seen_at=seen_at, **news)


def add_samples(drain: WriteBatch, batch: DecodedBatch, window: SampleWindow, home: str) -> None:
    """Add a batch's samples to a drain; those out of time are set aside.

    The hot path: an entry's fields go over as they are.
    """
    oldest, newest = window.oldest, window.newest
    node, batch_id, cluster = batch.node, batch.batch_id, batch.cluster_name
    at_home = scoped_id("", cluster=cluster, home_cluster=home) == ""
    # Half the time of QueuedSample(…), which looks at how many values there are.
    add, make = drain.samples.append, partial(tuple.__new__, QueuedSample)
    for position, entry in zip(batch.positions, batch.entries, strict=True):
        if not oldest <= entry.timestamp <= newest:
            drain.rejected.append(_out_of_time(batch, position, entry, window))
            continue
        job_id = entry.job_id
        if not at_home:
            job_id = scoped_id(job_id, cluster=cluster, home_cluster=home)
        _, *fields, gpus = astuple(entry)
        devices = _gpus(job_id, entry.timestamp, node, gpus) if gpus else ()
        add(make((job_id, *fields, node, batch_id, position, devices)))


def _gpus(job_id: str, at: datetime, node: str, gpus: list[GpuEntry]) -> list[GpuSample]:
    """A GPU counts once, even where a sample has two readings of it."""
    readings = {gpu.gpu_id: gpu for gpu in reversed(gpus)}
    return [GpuSample(job_id, at, node, *astuple(gpu)) for gpu in readings.values()]


def _out_of_time(
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


def refused(sample: QueuedSample, why: str) -> RejectedSample:
    """A sample that the database does not take."""
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
