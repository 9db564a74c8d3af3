"""The gateway on a socket, under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

import uvicorn

from hpcobs_local.gateway.protocol import PromptProtocol

if TYPE_CHECKING:
    from collections.abc import Generator

    from hpcobs_local.gateway.app import Gateway

GRACE_SECONDS = 1
KEEP_ALIVE_SECONDS = 30
MAX_CONNECTIONS = 1000
BACKLOG = 512


class Server(uvicorn.Server):
    """A uvicorn that leaves signals to the service, which has more than this to stop."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(
            uvicorn.Config(
                gateway,
                http=PromptProtocol,
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield

    def stop(self) -> None:
        """Take no more requests, and finish those that are being answered."""
        self.should_exit = True


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket that nobody else listens on, which does not listen yet; OSError if it is taken."""
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener
