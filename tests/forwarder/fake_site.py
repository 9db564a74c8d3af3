"""A site with planned responses, over real HTTP."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    import ssl

HANG_SECONDS = 600.0
"""Longer than any client's timeout, and than a test may take."""


class Received(NamedTuple):
    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    status: int


class Reply(NamedTuple):
    status: int = 202
    body: str = '{"status": "queued"}'
    headers: tuple[tuple[str, str], ...] = ()
    hang: bool = False


class Site:
    """Answers with the planned replies one by one, then always with ``usual``."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.planned: list[Reply] = []
        self.usual = Reply()
        self.by_path: dict[str, Reply] = {}
        self.largest_batch = 5000
        self.connections = 0
        self.released = threading.Event()
        self.came = threading.Condition()
        self._scheme = "http"
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def secure(self, context: ssl.SSLContext) -> None:
        """Use TLS from now on."""
        self._scheme = "https"
        listening = self._server.socket
        self._server.socket = context.wrap_socket(
            listening, server_side=True, do_handshake_on_connect=False
        )

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [one.body for one in self.received if one.path == path]

    def accepted(self, path: str = "/v1/samples") -> list[dict[str, Any]]:
        return [one.body for one in self.received if one.path == path and one.status < 300]

    def wait_for(self, count: int, path: str = "/v1/samples") -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.accepted(path)) >= count, WAIT_SECONDS), (
                f"{path} was accepted {len(self.accepted(path))} times, not {count}: "
                f"{[(one.path, one.status) for one in self.received]}"
            )

    def reply_to(self, path: str, body: dict[str, Any]) -> Reply:
        if len(body.get("samples", ())) > self.largest_batch:
            return Reply(413, '{"error": "payload_too_large"}')
        if self.planned:
            return self.planned.pop(0)
        return self.by_path.get(path, self.usual)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # one segment for an answer: no waiting for delayed acknowledgements

        def setup(self) -> None:
            super().setup()
            site.connections += 1

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                data = gzip.decompress(data)
            self._answer(json.loads(data))

        def _answer(self, body: dict[str, Any]) -> None:
            reply = site.reply_to(self.path, body)
            with site.came:
                received = Received(self.path, body, dict(self.headers.items()), reply.status)
                site.received.append(received)
                site.came.notify_all()
            if reply.hang:
                site.released.wait(HANG_SECONDS)
                self.close_connection = True
                return
            content = reply.body.encode()
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
