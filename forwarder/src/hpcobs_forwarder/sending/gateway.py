"""HTTP to the site by ``http.client`` alone, also by a proxy or with a private authority."""

from __future__ import annotations

import base64
import http.client
import socket
import threading
import time
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from hpcobs_forwarder import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from urllib.parse import SplitResult

_LONGEST_REQUEST_TIMEOUTS = 6.0
"""How many times the limit for a single wait a whole request may take, drop by drop."""


class GatewayError(Exception):
    """No answer came: no connection, no time left, or not HTTP."""


class Answer(NamedTuple):
    """What the site said. ``retry_after`` is in seconds, ``location`` where a redirection leads."""

    status: int
    body: bytes
    retry_after: float | None = None
    date: str | None = None
    location: str | None = None


class Gateway:
    """One site's API at ``url``; a connection is kept until ``close``.

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
        longest_answer_bytes: int = 1 << 20,
    ) -> None:
        """Nothing is opened yet. The client's certificate and its key are in one file."""
        self._url = urlsplit(url)
        self._proxy = urlsplit(proxy) if proxy else None
        self._timeout = timeout_seconds
        self._ca_file = ca_file
        self._client_cert_file = client_cert_file
        self._longest = longest_answer_bytes
        self._context: ssl.SSLContext | None = None
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        """The answer, whatever its status; GatewayError if there is none."""
        kept = self._connection is not None
        try:
            return self._request(method, path, body, headers)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            self.close()
            self._context = None  # certificates may have been renewed
            if not kept:
                raise GatewayError(f"{type(error).__name__}: {error}") from error
        # The site has closed the connection that was kept: that is no failure.
        return self.request(method, path, body, headers)

    def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Answer:
        connection = self._connection = self._connection or self._connect()
        target = self._url.path + path
        own = {"User-Agent": f"hpcobs-forwarder/{__version__}"}
        if self._proxy is not None and self._url.scheme == "http":
            target = f"http://{self._url.netloc}{target}"
            own.update(_proxy_authorization(self._proxy))
        with _deadline(connection, self._timeout * _LONGEST_REQUEST_TIMEOUTS):
            connection.request(method, target, body, {**own, **headers})
            response = connection.getresponse()
            content = response.read(self._longest)
            if response.length and len(content) < self._longest:
                raise http.client.IncompleteRead(content, response.length)
        if not response.isclosed():
            self.close()  # more than anybody needs
        return Answer(
            response.status,
            content,
            _retry_after(response.getheader("Retry-After")),
            response.getheader("Date"),
            response.getheader("Location"),
        )

    def _connect(self) -> http.client.HTTPConnection:
        if self._url.scheme == "http":
            peer = self._proxy or self._url
            return http.client.HTTPConnection(peer.hostname or "", peer.port, timeout=self._timeout)
        peer = self._proxy or self._url
        connection = http.client.HTTPSConnection(
            peer.hostname or "", peer.port, timeout=self._timeout, context=self._tls()
        )
        if self._proxy is not None:
            headers = _proxy_authorization(self._proxy)
            connection.set_tunnel(self._url.hostname or "", self._url.port or 443, headers)
        return connection

    def _tls(self) -> ssl.SSLContext:
        import ssl

        if self._context is None:
            try:
                context = ssl.create_default_context(cafile=self._ca_file)
            except OSError as error:
                raise GatewayError(f"the CA file {self._ca_file}: {error}") from error
            self._show_who_we_are(context)
            self._context = context
        return self._context

    def _show_who_we_are(self, context: ssl.SSLContext) -> None:
        if self._client_cert_file is None:
            return
        try:
            context.load_cert_chain(self._client_cert_file)
        except OSError as error:
            file = self._client_cert_file
            raise GatewayError(f"the client's certificate {file}: {error}") from error

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


@contextmanager
def _deadline(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Ends the connection after that time, whatever keeps trickling in; TimeoutError then."""
    expired = threading.Event()

    def end() -> None:
        expired.set()
        if connection.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if expired.is_set():  # http.client takes what breaks off in the headers for an answer
        raise TimeoutError(f"no whole answer within {seconds:g} s")


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    """The header for a proxy that wants to know who asks (RFC 7617)."""
    if proxy.username is None:
        return {}
    who = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": f"Basic {base64.b64encode(who.encode()).decode()}"}


def _retry_after(text: str | None) -> float | None:
    """``Retry-After`` in seconds: a number, or a date (RFC 9110, 10.2.3)."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None
