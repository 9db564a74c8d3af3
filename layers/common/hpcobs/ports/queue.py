"""The queue between ingest and the collector. It delivers at least once, in any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A received message. ``receipt`` identifies this delivery of it, to delete or hide it."""

    id: str
    receipt: str
    body: bytes
    sent_at: datetime
    receive_count: int


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The queue's depth: messages to be received, received but not deleted, and dead."""

    visible: int
    in_flight: int
    dead: int


class SampleQueue(Protocol):
    """A queue of sample batches. Errors of the queue itself are UnavailableError."""

    max_body_bytes: int

    def send(self, bodies: Sequence[bytes]) -> None:
        """Put messages on the queue. They are durable when this returns."""

    def receive(self, *, limit: int) -> Sequence[Message]:
        """Return up to ``limit`` messages, hidden from others for the visibility time-out.

        If it returns fewer, the queue is nearly empty.
        """

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages that were stored. An expired delivery is left to its next receiver."""

    def extend(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Hide received messages for ``seconds`` from now. With 0 they are visible at once."""

    def bury(self, message: Message, reason: str) -> None:
        """Move a message that cannot be read to the dead-letter queue."""

    def depth(self) -> QueueDepth:
        """Return how many messages are visible, in flight and dead."""
