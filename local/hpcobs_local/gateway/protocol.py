"""A connection whose requests have to begin in good time, under uvicorn.

uvicorn limits the pauses between requests, and the gateway the time of a body. In between, a client
could send the head of a request byte by byte for ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

HEAD_SECONDS = 10.0


class PromptProtocol(H11Protocol):
    """HTTP/1.1; a connection is closed when a request's line and headers take too long."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn asks for it
        """A client is there, and has to say what it wants."""
        super().connection_made(transport)
        self._head_is_due()

    def data_received(self, data: bytes) -> None:
        """A part of a request, perhaps of its head."""
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._head_is_there()
        elif self._head_timer is None:
            self._head_is_due()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection has ended."""
        self._head_is_there()
        super().connection_lost(exc)

    def _head_is_due(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _head_is_there(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
