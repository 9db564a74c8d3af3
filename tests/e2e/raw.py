"""HTTP that no library would send: raw bytes on a socket, and the raw response."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

SILENCE_SECONDS = 30.0
"""The service closes every connection of these tests, so this only ends a test that fails."""

_STATUS = re.compile(rb"^HTTP/1\.1 (\d{3}) ", re.MULTILINE)


@dataclass(frozen=True)
class Received:
    """Everything that was received before the connection was closed."""

    content: bytes

    @property
    def statuses(self) -> list[int]:
        """The status of each response."""
        return [int(status) for status in _STATUS.findall(self.content)]

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("latin-1")


def send(url: str, content: bytes) -> Received:
    """Send ``content``, and read until the service closes the connection or is silent."""
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), SILENCE_SECONDS) as connection:
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
    """Return the bytes of one request, after which the service closes the connection."""
    lines = [f"{method} {target} {version}", "Host: h", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body
