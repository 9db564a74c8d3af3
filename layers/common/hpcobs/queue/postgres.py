"""The queue as a table in PostgreSQL: for the embedded service and sites on one machine.

It behaves as SQS does: a received message is hidden for a while and delivered again unless it is
deleted. One that was delivered too often becomes a dead letter.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any

from hpcobs.ports.queue import Message, QueueDepth
from hpcobs.storage.queries import load
from hpcobs.storage.session import translated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hpcobs.storage.connections import Connection, Connections

_QUEUE = load("queue")

# A collector that dies while it stores messages must not turn them into dead letters soon: with the
# time-out below, 100 deliveries take more than three hours.
MAX_RECEIVES = 100
# Longer than the collector may run (60 s), as on SQS: no two runs store a message at a time.
VISIBILITY_SECONDS = 120.0


class PostgresQueue:
    """See ``hpcobs.ports.queue.SampleQueue``. Threads take turns: there may be one connection."""

    max_body_bytes = 8 * 1024 * 1024

    def __init__(
        self, connections: Connections, *, visibility_seconds: float = VISIBILITY_SECONDS
    ) -> None:
        self._connections = connections
        self._hidden = timedelta(seconds=visibility_seconds)
        self._turn = Lock()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._turn, translated(), self._connections.connection() as connection:
            yield connection

    def send(self, bodies: Sequence[bytes]) -> None:
        """Put messages on the queue. They are durable when this returns."""
        with self._connection() as connection:
            connection.execute(_QUEUE["send"], {"bodies": list(bodies)})

    def receive(self, *, limit: int) -> Sequence[Message]:
        """Return up to ``limit`` messages, hidden from others for the visibility time-out."""
        parameters = {"max_receives": MAX_RECEIVES, "limit": limit, "hidden": self._hidden}
        with self._connection() as connection:
            # Never prepared: an index covers only messages with so many receives, and PostgreSQL
            # uses it only if the statement contains that number.
            connection.execute(_QUEUE["bury_worn_out"], parameters, prepare=False)
            rows = connection.execute(_QUEUE["receive"], parameters).fetchall()
        return [
            Message(str(number), str(receipt), bytes(body), sent_at, count)
            for number, receipt, body, sent_at, count in sorted(rows, key=lambda row: row[0])
        ]

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages that were stored. An expired delivery is left to its next receiver."""
        with self._connection() as connection:
            connection.execute(_QUEUE["delete"], _deliveries(messages))

    def extend(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Hide received messages for ``seconds`` from now. With 0 they are visible at once."""
        parameters = _deliveries(messages) | {"hidden": timedelta(seconds=seconds)}
        with self._connection() as connection:
            connection.execute(_QUEUE["extend"], parameters)

    def bury(self, message: Message, reason: str) -> None:
        """Move a message that cannot be read to the dead letters."""
        parameters = {"id": int(message.id), "receipt": message.receipt, "reason": reason}
        with self._connection() as connection:
            connection.execute(_QUEUE["bury"], parameters)

    def redrive(self) -> int:
        """Put all dead letters back on the queue, and return how many. SQS has its own redrive."""
        with self._connection() as connection:
            row = connection.execute(_QUEUE["redrive"]).fetchone()
        return int(row[0]) if row else 0

    def depth(self) -> QueueDepth:
        """Return how many messages are visible, in flight and dead."""
        with self._connection() as connection:
            row = connection.execute(_QUEUE["depth"]).fetchone()
        return QueueDepth(*(row or (0, 0, 0)))


def _deliveries(messages: Sequence[Message]) -> dict[str, Any]:
    return {
        "ids": [int(message.id) for message in messages],
        "receipts": [message.receipt for message in messages],
    }
