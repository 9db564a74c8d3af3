"""HTTP by ``http.client``: with proxy, private CA, client certificate, and a token from a file."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from hpcobs_forwarder import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from urllib.parse import SplitResult

_REQUEST_TIMEOUTS = 6.0
"""Limit for a whole request, as a multiple of the limit for each wait: a server that sends a byte
from time to time must not keep the sender busy for hours."""


class NoResponseError(Exception):
    """There was no response: no connection, a timeout, or no HTTP."""


class TokenError(Exception):
    """There is no usable token. The text contains the reason."""


class Response(NamedTuple):
    """A response. ``retry_after`` is in seconds, ``location`` the target of a redirection."""

    status: int
    body: bytes
    retry_after: float | None = None
    date: str | None = None
    location: str | None = None

    def json_object(self) -> dict[str, Any]:
        """Return the body as a JSON object, or an empty one if it is anything else."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    def excerpt(self) -> str:
        """Return the beginning of the body as one line for a log."""
        return self.body[:300].decode("utf-8", errors="replace").replace("\n", " ")


class HttpClient:
    """A client for the API at ``url``. It keeps one connection open until ``close``.

    ``timeout_seconds`` is the limit for each wait, and six times that for a whole request.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float,
        ca_file: str | None = None,
        client_cert_file: str | None = None,
        proxy: str | None = None,
        max_response_bytes: int = 1 << 20,
    ) -> None:
        """Create the client without connecting. The client certificate's file holds its key too."""
        self._url = urlsplit(url)
        self._proxy = urlsplit(proxy) if proxy else None
        self._timeout = timeout_seconds
        self._ca_file = ca_file
        self._client_cert_file = client_cert_file
        self._max_response_bytes = max_response_bytes
        self._context: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        """Return the response, whatever its status. Raise NoResponseError if there is none."""
        kept = self._connection is not None
        try:
            return self._request(method, path, body, headers)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            self._context = None  # certificates may have been renewed
            if not kept:
                raise NoResponseError(f"{type(error).__name__}: {error}") from error
        # The site may close an idle connection at any time. That is no failure: connect again,
        # once, because the connection is new then.
        return self.request(method, path, body, headers)

    def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Response:
        connection = self._connection = self._connection or self._connect()
        target = self._url.path + path
        own = {"User-Agent": f"hpcobs-forwarder/{__version__}"}
        if self._proxy is not None and self._url.scheme == "http":
            target = f"http://{self._url.netloc}{target}"
            own.update(_proxy_authorization(self._proxy))
        with _deadline(connection, self._timeout * _REQUEST_TIMEOUTS):
            connection.request(method, target, body, {**own, **headers})
            response = connection.getresponse()
            content = response.read(self._max_response_bytes)
            # With a limit, http.client returns a body that breaks off without an error.
            if response.length and len(content) < self._max_response_bytes:
                raise http.client.IncompleteRead(content, response.length)
        if not response.isclosed():
            self.close()  # the rest of a huge body would be read as the next response
        return Response(
            response.status,
            content,
            _retry_after(response.getheader("Retry-After")),
            response.getheader("Date"),
            response.getheader("Location"),
        )

    def _connect(self) -> http.client.HTTPConnection:
        peer = self._proxy or self._url
        if self._url.scheme == "http":
            return http.client.HTTPConnection(peer.hostname or "", peer.port, timeout=self._timeout)
        connection = http.client.HTTPSConnection(
            peer.hostname or "", peer.port, timeout=self._timeout, context=self._tls()
        )
        if self._proxy is not None:
            headers = _proxy_authorization(self._proxy)
            connection.set_tunnel(self._url.hostname or "", self._url.port or 443, headers)
        return connection

    def _tls(self) -> ssl.SSLContext:
        import ssl  # a site behind plain HTTP should not pay for its memory

        if self._context is None:
            try:
                context = ssl.create_default_context(cafile=self._ca_file)
            except OSError as error:
                raise NoResponseError(f"the CA file {self._ca_file}: {error}") from error
            self._load_client_certificate(context)
            self._context = context
        return self._context

    def _load_client_certificate(self, context: ssl.SSLContext) -> None:
        if self._client_cert_file is None:
            return
        try:
            context.load_cert_chain(self._client_cert_file)
        except OSError as error:
            file = self._client_cert_file
            raise NoResponseError(f"the client's certificate {file}: {error}") from error

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Shut the connection down after ``seconds``, even if data arrives. Raise TimeoutError."""
    expired = threading.Event()

    def end() -> None:
        expired.set()
        if connection.sock is not None:
            # A TLS socket's own shutdown() would drop the TLS state under the reading thread.
            with suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if expired.is_set():  # http.client accepts headers that break off as a whole response
        raise TimeoutError(f"no complete response within {seconds:g} s")


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """Return the header for a proxy that requires a password (RFC 7617)."""
    if proxy.username is None:
        return {}
    credentials = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


def _retry_after(text: str | None) -> float | None:
    """Return ``Retry-After`` in seconds: it is a number or a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None


class TokenFile:
    """The bearer token in the file at ``path``. The file may be replaced at any time."""

    def __init__(self, path: str) -> None:
        """Set the path. ``get`` is the first to read the file."""
        self._path = path
        self._read_stamp: tuple[int, int, int] | None = None
        self._token = ""

    def changed(self) -> bool:
        """Return whether the file was replaced or changed since ``get`` last read it."""
        try:
            return self._stamp() != self._read_stamp
        except OSError:
            return False

    def get(self) -> str:
        """Return the token. Raise TokenError if the file is unreadable, empty or damaged."""
        try:
            stamp = self._stamp()
            if stamp != self._read_stamp:
                with open(self._path, encoding="ascii") as file:
                    self._token = file.readline().strip()
                self._read_stamp = stamp
        except (OSError, UnicodeDecodeError) as error:
            raise TokenError(f"the token cannot be read: {error}") from error
        if not self._token:
            raise TokenError(f"{self._path} contains no token")
        if not self._token.isprintable():
            # Depending on Python, http.client sends it, or raises ValueError and so ends the drain.
            raise TokenError(f"the token in {self._path} contains a control character")
        return self._token

    def _stamp(self) -> tuple[int, int, int]:
        # A file of the same age and size may be another one: renaming changes the inode.
        status = os.stat(self._path)
        return status.st_ino, status.st_mtime_ns, status.st_size
