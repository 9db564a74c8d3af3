"""Ingestion: a node's batch is checked and put on the queue; nothing else is needed for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from hpcobs.domain.errors import ForbiddenError, InvalidInputError
from hpcobs.wire.decoding import decode_batch, decode_envelope
from hpcobs.wire.messages import pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpcobs.ports.queue import SampleQueue
    from hpcobs.wire.decoding import DecodedBatch, Refused
    from hpcobs.wire.samples import Envelope

MAX_TOLD = 20
"""How many bad samples an answer tells of."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a batch: how many samples are queued, and what is wrong with the others."""

    batch_id: str
    accepted: int
    rejected: Sequence[Refused]


class Ingestion:
    """The use case of the samples route."""

    def __init__(self, queue: SampleQueue) -> None:
        self._queue = queue

    def accept(self, body: bytes, *, principal_node: str | None) -> Accepted:
        """Check a batch and queue it; it is durable when this returns.

        A batch with some bad samples is queued as it is, so that the collector sets those aside
        with their reason. InvalidInputError if nothing in it is good, ForbiddenError if it is
        another node's than the token's.
        """
        batch = decode_batch(body)
        if principal_node not in (None, batch.node):
            raise ForbiddenError(f"the token may not send samples of node {batch.node}")
        if batch.refused and not batch.entries:
            raise _nothing_good(batch)
        self._queue.send(list(messages(body, limit=self._queue.max_body_bytes)))
        return Accepted(batch.batch_id, len(batch.entries), batch.refused[:MAX_TOLD])


def _nothing_good(batch: DecodedBatch) -> InvalidInputError:
    first = batch.refused[0]
    return InvalidInputError(first.field, first.why)


def messages(body: bytes, *, limit: int) -> Iterator[bytes]:
    """The batch as messages of at most ``limit`` bytes each; mostly it is one."""
    message = pack(body)
    if len(message) <= limit:
        yield message
        return
    yield from _halves(decode_envelope(body), 0, limit)


def _halves(envelope: Envelope, first: int, limit: int) -> Iterator[bytes]:
    message = pack(msgspec.json.encode(envelope), first_position=first)
    samples = envelope.samples
    if len(message) <= limit or len(samples) < 2:  # noqa: PLR2004 - one sample cannot be halved
        yield message
        return
    middle = len(samples) // 2
    for start, part in ((0, samples[:middle]), (middle, samples[middle:])):
        yield from _halves(msgspec.structs.replace(envelope, samples=part), first + start, limit)
