"""HTTP/1.1 on one connection, bounded: slow heads end, and no client can hold all connections."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from hpcobs_local.gateway import responses

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from hpcobs_local.gateway.responses import Response

HEAD_SECONDS = 10.0
MAX_CONNECTIONS = 1000
"""Open connections. Each takes a file descriptor, see ``server.allow_connections``."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with a time limit for heads, and with errors in the API's shape.

    uvicorn limits the pause between two requests, and the gateway the time of a body. In between, a
    client could send the head of a request byte by byte forever.

    With more than ``most`` connections, the client that has the most of them loses the one that
    has waited longest. A half-sent request can thus keep nobody else from the service.
    """

    def __init__(self, *arguments: Any, most: int = MAX_CONNECTIONS, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most = most
        self._head_timer: asyncio.TimerHandle | None = None
        self.received_at = time.monotonic()

    @property
    def waits(self) -> bool:
        """Whether the client is awaited: to send a request, the rest of it, or to read."""
        cycle = self.cycle
        return cycle is None or cycle.more_body or cycle.response_started

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn asks for it
        """Start the time limit of the first head. Make room if there are too many connections."""
        super().connection_made(transport)
        self._start_head_timer()
        if len(self.connections) > self._most:
            others = (other for other in self.connections if isinstance(other, BoundedProtocol))
            (_longest_waiting(others) or self).give_up()

    def data_received(self, data: bytes) -> None:
        """Stop the time limit when a head is complete. Start it at the next head's first byte."""
        self.received_at = time.monotonic()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_head_timer()
        elif self._head_timer is None:
            self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the time limit."""
        self._stop_head_timer()
        super().connection_lost(exc)

    def give_up(self) -> None:
        """Close the connection for another one. Its client is asked to try again later."""
        # Counted out at once: the transport is closed later, and more connections may come first.
        self.connections.discard(self)
        idle = self.cycle is not None and not self.conn.trailing_data[0]
        if idle and self.conn.their_state is h11.IDLE:
            self.transport.close()
        else:
            self._end_with(responses.too_many_connections())

    def send_400_response(self, msg: str) -> None:
        """Respond to bytes that are no request, and close the connection."""
        del msg
        self._end_with(responses.not_http())

    def _end_with(self, response: Response) -> None:
        # A response that has begun cannot be replaced, and one to a client that reads slowly is
        # not awaited: ``abort`` drops what is not sent yet.
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.abort()
            return
        correlation_id = str(uuid.uuid4())
        headers = response.raw_headers(uuid.uuid4().hex, correlation_id=correlation_id)
        head = h11.Response(
            status_code=response.status, headers=headers, reason=STATUS_PHRASES[response.status]
        )
        for event in (head, h11.Data(data=response.body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None:
            # The gateway may still read the body: it must not respond as well.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def _longest_waiting(connections: Iterable[BoundedProtocol]) -> BoundedProtocol | None:
    """Return the connection that has waited longest, of the client with the most that wait."""
    waiting = [connection for connection in connections if connection.waits]
    if not waiting:
        return None
    count = Counter(_host(connection) for connection in waiting)
    greedy, _ = count.most_common(1)[0]
    of_greedy = (connection for connection in waiting if _host(connection) == greedy)
    return min(of_greedy, key=lambda connection: connection.received_at)


def _host(connection: BoundedProtocol) -> str:
    return connection.client[0] if connection.client else ""
