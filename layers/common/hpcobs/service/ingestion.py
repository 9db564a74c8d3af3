"""Ingestion: check a node's batch and put it on the queue. No database is needed (ADR 0012)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hpcobs.domain.clusters import check_cluster
from hpcobs.domain.errors import ForbiddenError, InvalidInputError
from hpcobs.wire.batches import decode_batch, pack
from hpcobs.wire.entries import decode_envelope

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpcobs.ports.queue import SampleQueue
    from hpcobs.wire.batches import DecodedBatch, RejectedEntry
    from hpcobs.wire.samples import Envelope

MAX_LISTED = 20
"""The rejected samples that a response lists. A batch may have 5,000 of them."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of a batch: how many samples are queued, and the first rejected ones.

    ``host_fault`` is why the node's own readings are left out, if they are.
    """

    batch_id: str
    accepted: int
    rejected: Sequence[RejectedEntry]
    host_fault: str | None = None


class Ingestion:
    """The use case of the samples route."""

    def __init__(self, queue: SampleQueue, *, home_cluster: str) -> None:
        self._queue = queue
        self._home_cluster = home_cluster

    def accept(
        self, body: bytes, *, principal_node: str | None, principal_cluster: str | None = None
    ) -> Accepted:
        """Check a batch and queue it. It is durable when this returns.

        A batch with some bad samples is queued as it is, and the collector stores those as
        rejected, with their reason.

        Raise InvalidInputError if no sample is good, ForbiddenError if the batch is of another node
        or cluster than the token.
        """
        batch = decode_batch(body)
        job_ids = {entry.job_id for entry in batch.entries}
        home = self._home_cluster
        check_cluster(principal_cluster, batch.cluster_name, job_ids, home_cluster=home)
        if principal_node not in (None, batch.node):
            raise ForbiddenError(f"the token may not send samples of node {batch.node}")
        if batch.rejected and not batch.entries:
            raise _all_rejected(batch)
        self._queue.send(list(messages(body, limit=self._queue.max_body_bytes)))
        listed = batch.rejected[:MAX_LISTED]
        return Accepted(batch.batch_id, len(batch.entries), listed, batch.host_fault)


def _all_rejected(batch: DecodedBatch) -> InvalidInputError:
    first = batch.rejected[0]
    return InvalidInputError(first.field, first.why)


def messages(body: bytes, *, limit: int) -> Iterator[bytes]:
    """Yield the batch as messages of at most ``limit`` bytes each. Mostly it is one message."""
    message = pack(body)
    if len(message) <= limit:
        yield message
        return
    envelope, _ = decode_envelope(body)
    yield from _halves(envelope, 0, limit)


def _halves(envelope: Envelope, first: int, limit: int) -> Iterator[bytes]:
    # By halves, because the size of a compressed part is known only once it is compressed.
    message = pack(msgspec.json.encode(envelope), first_position=first)
    samples = envelope.samples
    if len(message) <= limit or len(samples) < 2:  # noqa: PLR2004 - one sample cannot be halved
        yield message
        return
    middle = len(samples) // 2
    for start, part in ((0, samples[:middle]), (middle, samples[middle:])):
        yield from _halves(msgspec.structs.replace(envelope, samples=part), first + start, limit)
