"""The queue between ingest and the collector: at least once, in no promised order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Message:
    """A received message; ``receipt`` is what deletes this delivery of it."""

    id: str
    receipt: str
    body: bytes
    sent_at: datetime
    receive_count: int


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How full the queue is, in messages."""

    visible: int
    in_flight: int
    dead: int


class SampleQueue(Protocol):
    """A queue of sample batches. Errors of the queue itself are UnavailableError."""

    max_body_bytes: int

    def send(self, bodies: Sequence[bytes]) -> None:
        """Put messages on the queue; they are durable when this returns."""

    def receive(self, *, limit: int) -> Sequence[Message]:
        """Take up to ``limit`` messages and hide them from others for the visibility time.

        Fewer than that mean that hardly any more are there.
        """

    def delete(self, messages: Sequence[Message]) -> None:
        """Remove what was dealt with; a delivery that has expired is left to its next receiver."""

    def extend(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Hide received messages for so long from now; 0 gives them back."""

    def bury(self, message: Message, reason: str) -> None:
        """Move a message that can never be read to the dead-letter queue."""

    def depth(self) -> QueueDepth:
        """How many messages wait, are being worked on, and are dead."""
