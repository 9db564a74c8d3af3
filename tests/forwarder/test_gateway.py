"""HTTP to the site."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.sending.gateway import Gateway, GatewayError
from tests.forwarder.fake_site import Reply, Site

if TYPE_CHECKING:
    from collections.abc import Iterator


def posts(url: str, times: int = 1, **options: Any) -> list[int]:
    with closing(Gateway(url, timeout_seconds=2, **options)) as gateway:
        return [gateway.request("POST", "/v1/samples", b"{}", {}).status for _ in range(times)]


def test_one_connection_serves_several_requests(site: Site) -> None:
    assert posts(site.url, 3) == [202, 202, 202]
    assert site.connections == 1


def test_a_connection_that_the_site_has_closed_is_opened_anew(site: Site) -> None:
    site.planned = [Reply(), Reply(hang=True)]
    site.released.set()

    assert posts(site.url, 2) == [202, 202]
    assert site.connections == 2


def test_a_url_may_have_a_path(site: Site) -> None:
    posts(f"{site.url}/stage")

    assert site.received[0].path == "/stage/v1/samples"


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("soon", None), (formatdate(0, usegmt=True), 0)]
)
def test_retry_after_may_be_seconds_or_a_date(
    site: Site, header: str, seconds: float | None
) -> None:
    site.planned = [Reply(503, headers=(("Retry-After", header),))]

    with closing(Gateway(site.url, timeout_seconds=2)) as gateway:
        answer = gateway.request("GET", "/", None, {})

    assert answer.retry_after == seconds


def test_a_proxy_is_asked_for_the_whole_url(site: Site) -> None:
    assert posts("http://hpcobs.invalid:81/x", proxy=site.url) == [202]
    assert site.received[0].path == "http://hpcobs.invalid:81/x/v1/samples"


@pytest.fixture
def deaf() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_a_proxy_is_asked_for_a_tunnel_to_a_secure_site(deaf: socket.socket) -> None:
    asked: list[bytes] = []

    def refuse() -> None:
        connection, _ = deaf.accept()
        with connection:
            asked.append(connection.recv(1000))
            connection.sendall(b"HTTP/1.1 403 no\r\n\r\n")

    thread = threading.Thread(target=refuse)
    thread.start()
    proxy = f"http://127.0.0.1:{deaf.getsockname()[1]}"

    with pytest.raises(GatewayError, match="403"):
        posts("https://hpcobs.invalid", proxy=proxy)
    thread.join()

    assert asked[0].startswith(b"CONNECT hpcobs.invalid:443 ")


def test_what_is_not_http_is_no_answer(deaf: socket.socket) -> None:
    def babble() -> None:
        connection, _ = deaf.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

    thread = threading.Thread(target=babble)
    thread.start()

    with pytest.raises(GatewayError, match="BadStatusLine"):
        posts(f"http://127.0.0.1:{deaf.getsockname()[1]}")
    thread.join()


def test_a_site_without_tls_is_no_answer_to_https(site: Site) -> None:
    with pytest.raises(GatewayError, match="SSL"):
        posts(site.url.replace("http:", "https:"))


def test_certificates_are_checked() -> None:
    gateway = Gateway("https://127.0.0.1", timeout_seconds=2)

    assert gateway._tls().verify_mode is ssl.CERT_REQUIRED
    assert gateway._tls().check_hostname
