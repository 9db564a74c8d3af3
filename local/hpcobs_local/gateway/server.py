"""The gateway on a socket, under uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from hpcobs_local.gateway.protocol import MAX_CONNECTIONS, BoundedProtocol

if TYPE_CHECKING:
    from collections.abc import Generator

    from hpcobs_local.gateway.app import Gateway

GRACE_SECONDS = 1
KEEP_ALIVE_SECONDS = 30
BACKLOG = 512


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the service, which has more parts to stop."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(
            uvicorn.Config(
                gateway,
                http=partial(BoundedProtocol, most=allow_connections()),  # type: ignore[arg-type] # uvicorn only calls it
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and set ``ready``."""
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Install no signal handlers."""
        yield

    def stop(self) -> None:
        """Stop accepting requests, and finish those in progress."""
        self.should_exit = True


def allow_connections() -> int:
    """Raise the limit of open files as far as connections need it. Return how many may be open.

    Half of the files are for connections: functions and the database need some too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS
    # A limit is infinite where it is -1 (RLIM_INFINITY).
    files = wanted if hard < 0 else min(wanted, hard)
    if 0 <= soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return files // 2


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raise OSError if the port is taken.

    Requests that come before the gateway accepts them wait.
    """
    # Bound before anything is started: a taken port must not cost the start of a database.
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A port with old connections in TIME_WAIT can be used again at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # With SO_REUSEADDR two sockets may have a port until one listens, and two services that
        # start together would both go on.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
