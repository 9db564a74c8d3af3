"""HTTP as no library would send it: bytes on a socket, and whatever comes back."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

SECONDS = 3.0
_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)


@dataclass(frozen=True)
class Received:
    """All that came before the connection was closed."""

    content: bytes

    @property
    def statuses(self) -> list[int]:
        """The status of each answer in it."""
        return [int(status) for status in _STATUS.findall(self.content)]

    @property
    def text(self) -> str:
        """The whole of it."""
        return self.content.decode("latin-1")


def send(url: str, content: bytes) -> Received:
    """Send ``content``, and read until the other side closes, or stays silent for too long."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), SECONDS) as connection:
        received = b""
        try:
            connection.sendall(content)
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionError):
            pass
    return Received(received)


def request(
    target: str,
    *headers: str,
    method: str = "GET",
    body: bytes = b"",
    version: str = "HTTP/1.1",
) -> bytes:
    """The bytes of one request, after which the connection may be closed."""
    lines = [f"{method} {target} {version}", "Host: h", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
