"""Free ports for servers that cannot choose one themselves."""

from __future__ import annotations

import socket


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 that are not in use."""
    # All are open before the first is closed: the kernel could give the same port again.
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def free_port() -> int:
    """Return a port of 127.0.0.1 that is not in use."""
    return free_ports(1)[0]
