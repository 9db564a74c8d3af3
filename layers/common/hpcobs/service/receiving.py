"""Receive the queue's messages, grouped into batches that fit one transaction and memory.

The next batch is decoded while the previous one is stored.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpcobs.domain.errors import InvalidInputError
from hpcobs.wire.batches import MessageError, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import datetime

    from hpcobs.ports.clock import Clock
    from hpcobs.ports.queue import Message, SampleQueue
    from hpcobs.wire.batches import DecodedBatch

logger = logging.getLogger(__name__)

RECEIVE_LIMIT = 250
BATCH_ROWS = 50_000
"""Samples and GPU readings in a queue batch: they take about 100 MB until they are stored."""


@dataclass(slots=True)
class QueueBatch:
    """Messages with the batches in them. None was requested before ``requested_at``."""

    requested_at: datetime
    received: list[tuple[Message, DecodedBatch]] = field(default_factory=list)
    rows: int = 0

    @property
    def messages(self) -> list[Message]:
        """The messages, to be deleted once the batch is stored."""
        return [message for message, _ in self.received]


class Receiving:
    """One pass over the queue. It counts ``messages``, ``buried`` ones, and ``lag_seconds``."""

    def __init__(self, queue: SampleQueue, *, clock: Clock, has_time: Callable[[], bool]) -> None:
        self.messages = 0
        self.buried = 0
        self.lag_seconds = 0.0
        self._queue = queue
        self._clock = clock
        self._has_time = has_time
        self._requested_at = clock()

    def batches(self) -> Generator[QueueBatch, None, None]:
        """Yield batches until the queue is empty or time is up. Prepare one batch ahead."""
        batches = self._batches()
        with ThreadPoolExecutor(1, thread_name_prefix="receiving") as pool:
            upcoming = pool.submit(next, batches, None)
            while (queue_batch := upcoming.result()) is not None:
                upcoming = pool.submit(next, batches, None)
                yield queue_batch

    def _batches(self) -> Iterator[QueueBatch]:
        queue_batch: QueueBatch | None = None
        for message in self._received():
            batch = self._decoded(message)
            if batch is None:
                continue
            rows = sum(1 + len(entry.gpus) for entry in batch.entries)
            if queue_batch is not None and queue_batch.rows + rows > BATCH_ROWS:
                yield queue_batch
                queue_batch = None
            queue_batch = queue_batch or QueueBatch(self._requested_at)
            queue_batch.received.append((message, batch))
            queue_batch.rows += rows
        if queue_batch is not None:
            yield queue_batch

    def _received(self) -> Iterator[Message]:
        """Yield messages one by one. When the time is up, make the others visible again."""
        began = self._clock()
        while self._has_time():
            self._requested_at = self._clock()
            messages = self._queue.receive(limit=RECEIVE_LIMIT)
            for number, message in enumerate(messages):
                if not self._has_time():
                    # Otherwise they would stay hidden until their visibility time-out.
                    self._queue.extend(messages[number:], seconds=0)
                    return
                yield message
            # Messages sent since the pass began are left to the next one. A queue that is filled
            # all the time would have no end.
            if len(messages) < RECEIVE_LIMIT and _all_since(began, messages):
                return

    def _decoded(self, message: Message) -> DecodedBatch | None:
        self.messages += 1
        age = (self._clock() - message.sent_at).total_seconds()
        self.lag_seconds = max(self.lag_seconds, age)
        try:
            return unpack(message.body)
        except (MessageError, InvalidInputError) as error:
            self._bury(message, str(error))
            return None

    def _bury(self, message: Message, reason: str) -> None:
        logger.error("message %s moved to the dead letters: %s", message.id, reason)
        self._queue.bury(message, reason)
        self.buried += 1


def _all_since(began: datetime, messages: Sequence[Message]) -> bool:
    return all(message.sent_at > began for message in messages)
