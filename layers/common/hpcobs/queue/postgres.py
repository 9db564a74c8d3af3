"""The queue as a table in PostgreSQL: for the embedded service and sites on one machine.

It behaves as SQS does: a received message is hidden for a while and comes back unless it is
deleted; one that comes back too often becomes a dead letter.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from hpcobs.ports.queue import Message, QueueDepth
from hpcobs.storage.errors import translated
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpcobs.storage.connections import Connection, Connections

_QUEUE = load("queue")

MAX_RECEIVES = 100
VISIBILITY_SECONDS = 120.0
POLL_SECONDS = 0.2


class PostgresQueue:
    """See ``hpcobs.ports.queue.SampleQueue``."""

    max_body_bytes = 8 * 1024 * 1024

    def __init__(
        self, connections: Connections, *, visibility_seconds: float = VISIBILITY_SECONDS
    ) -> None:
        self._connections = connections
        self._hidden = timedelta(seconds=visibility_seconds)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with translated(), self._connections.connection() as connection:
            yield connection

    def send(self, bodies: Sequence[bytes]) -> None:
        """Put messages on the queue; they are durable when this returns."""
        with self._connection() as connection:
            connection.execute(_QUEUE["send"], {"bodies": list(bodies)})

    def receive(self, *, limit: int, wait_seconds: int = 0) -> Sequence[Message]:
        """Take up to ``limit`` messages and hide them from others for the visibility time."""
        deadline = time.monotonic() + wait_seconds
        while True:
            messages = self._receive(limit)
            if messages or time.monotonic() >= deadline:
                return messages
            time.sleep(POLL_SECONDS)

    def _receive(self, limit: int) -> Sequence[Message]:
        parameters = {"max_receives": MAX_RECEIVES, "limit": limit, "hidden": self._hidden}
        with self._connection() as connection:
            connection.execute(_QUEUE["bury_worn_out"], {"max_receives": MAX_RECEIVES})
            rows = connection.execute(_QUEUE["receive"], parameters).fetchall()
        return [
            Message(str(number), str(receipt), bytes(body), sent_at, count)
            for number, receipt, body, sent_at, count in sorted(rows, key=lambda row: row[0])
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """Remove what was dealt with; an expired delivery is left to its next receiver."""
        with self._connection() as connection:
            connection.execute(_QUEUE["delete"], _deliveries(messages))

    def extend(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Hide received messages for longer."""
        parameters = _deliveries(messages) | {"hidden": timedelta(seconds=seconds)}
        with self._connection() as connection:
            connection.execute(_QUEUE["extend"], parameters)

    def bury(self, message: Message, reason: str) -> None:
        """Move a message that can never be read to the dead letters."""
        parameters = {"id": int(message.id), "receipt": message.receipt, "reason": reason}
        with self._connection() as connection:
            connection.execute(_QUEUE["bury"], parameters)

    def redrive(self) -> int:
        """Put all dead letters back on the queue; how many. On SQS this is a service's own task."""
        with self._connection() as connection:
            row = connection.execute(_QUEUE["redrive"]).fetchone()
        return int(row[0]) if row else 0

    def depth(self) -> QueueDepth:
        """How many messages wait, are being worked on, and are dead."""
        with self._connection() as connection:
            row = connection.execute(_QUEUE["depth"]).fetchone()
        return QueueDepth(*(row or (0, 0, 0)))


def _deliveries(messages: Sequence[Message]) -> dict[str, Any]:
    return {
        "ids": [int(message.id) for message in messages],
        "receipts": [message.receipt for message in messages],
    }
