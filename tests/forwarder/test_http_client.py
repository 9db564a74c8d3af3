"""HTTP against real sockets: proxies, certificates, and responses that break off."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
import time
from contextlib import closing, suppress
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.sending.http_client import HttpClient, NoResponseError
from tests.forwarder.fake_site import Reply, Site
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def posts(url: str, times: int = 1, **options: Any) -> list[int]:
    with closing(HttpClient(url, timeout_seconds=WAIT_SECONDS, **options)) as client:
        return [client.request("POST", "/v1/samples", b"{}", {}).status for _ in range(times)]


def test_one_connection_serves_several_requests(site: Site) -> None:
    assert posts(site.url, 3) == [202, 202, 202]
    assert site.connections == 1


def test_closed_connection_is_opened_again(site: Site) -> None:
    site.planned = [Reply(), Reply(hang=True)]
    site.released.set()

    assert posts(site.url, 2) == [202, 202]
    assert site.connections == 2


def test_url_may_have_path(site: Site) -> None:
    posts(f"{site.url}/stage")

    assert site.received[0].path == "/stage/v1/samples"


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("soon", None), (formatdate(0, usegmt=True), 0)]
)
def test_retry_after_may_be_seconds_or_date(site: Site, header: str, seconds: float | None) -> None:
    site.planned = [Reply(503, headers=(("Retry-After", header),))]

    with closing(HttpClient(site.url, timeout_seconds=WAIT_SECONDS)) as client:
        answer = client.request("GET", "/", None, {})

    assert answer.retry_after == seconds


def test_proxy_receives_absolute_url(site: Site) -> None:
    assert posts("http://hpcobs.invalid:81/x", proxy=site.url) == [202]
    assert site.received[0].path == "http://hpcobs.invalid:81/x/v1/samples"


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_https_through_proxy_requests_tunnel(server: socket.socket) -> None:
    requests: list[bytes] = []

    def reject() -> None:
        connection, _ = server.accept()
        with connection:
            requests.append(connection.recv(1000))
            connection.sendall(b"HTTP/1.1 403 no\r\n\r\n")

    thread = threading.Thread(target=reject)
    thread.start()
    proxy = f"http://127.0.0.1:{server.getsockname()[1]}"

    with pytest.raises(NoResponseError, match="403"):
        posts("https://hpcobs.invalid", proxy=proxy)
    thread.join()

    assert requests[0].startswith(b"CONNECT hpcobs.invalid:443 ")


def test_other_protocol_is_no_response(server: socket.socket) -> None:
    def babble() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

    thread = threading.Thread(target=babble)
    thread.start()

    with pytest.raises(NoResponseError, match="BadStatusLine"):
        posts(f"http://127.0.0.1:{server.getsockname()[1]}")
    thread.join()


def test_plain_http_is_no_response_to_https(site: Site) -> None:
    with pytest.raises(NoResponseError, match="SSL"):
        posts(site.url.replace("http:", "https:"))


def test_certificates_are_checked() -> None:
    client = HttpClient("https://127.0.0.1", timeout_seconds=WAIT_SECONDS)

    assert client._tls().verify_mode is ssl.CERT_REQUIRED
    assert client._tls().check_hostname


def test_private_ca_is_accepted_if_configured(secure: Site, authority: Path) -> None:
    assert posts(secure.url, ca_file=str(authority)) == [202]

    with pytest.raises(NoResponseError, match="CERTIFICATE_VERIFY_FAILED"):
        posts(secure.url)


def test_client_certificate_is_sent_if_required(
    mutual_tls: Site, authority: Path, tmp_path: Path
) -> None:
    file = str(authority)
    assert posts(mutual_tls.url, ca_file=file, client_cert_file=file) == [202]

    with pytest.raises(NoResponseError):
        posts(mutual_tls.url, ca_file=file)
    with pytest.raises(
        NoResponseError, match=r"the client's certificate .*/none\.pem: .*No such file"
    ):
        posts(mutual_tls.url, ca_file=file, client_cert_file=str(tmp_path / "none.pem"))


def test_renewed_certificate_needs_no_restart(secure: Site, authority: Path) -> None:
    renewed = authority.read_bytes()
    authority.write_bytes(b"")
    client = HttpClient(secure.url, timeout_seconds=WAIT_SECONDS, ca_file=str(authority))
    with pytest.raises(NoResponseError, match=r"site\.pem"):
        client.request("GET", "/", None, {})
    authority.write_bytes(renewed)

    with closing(client):
        assert client.request("GET", "/", None, {}).status == 202


def test_unreadable_ca_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoResponseError, match=r"the CA file .*/none\.pem: .*No such file"):
        posts("https://127.0.0.1:9", ca_file=str(tmp_path / "none.pem"))


def serve(server: socket.socket, *pieces: bytes, between_seconds: float = 0.0) -> threading.Thread:
    """Answer one request with these pieces, then close the connection."""

    def answer() -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            connection.recv(65536)
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(between_seconds)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return thread


HEAD = b"HTTP/1.1 202 yes\r\nContent-Length: 1000\r\n\r\n"


@pytest.mark.parametrize("pieces", [[], [HEAD[:11]], [HEAD], [HEAD, b"{"]])
def test_truncated_response_is_no_response(server: socket.socket, pieces: list[bytes]) -> None:
    serve(server, *pieces)

    with pytest.raises(NoResponseError):
        posts(f"http://127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize(
    "pieces", [[HEAD, *[b" "] * 900], [b"HTTP/1.1 202 yes\r\nX: ", *[b"x"] * 900]]
)
def test_trickling_response_is_aborted(server: socket.socket, pieces: list[bytes]) -> None:
    serve(server, *pieces, between_seconds=0.02)
    client = HttpClient(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_seconds=0.1)

    with pytest.raises(NoResponseError):
        client.request("POST", "/", b"{}", {})


def test_huge_response_is_cut(site: Site) -> None:
    site.planned = [Reply(202, "x" * 5_000_000)]

    with closing(HttpClient(site.url, timeout_seconds=WAIT_SECONDS)) as client:
        answers = [client.request("GET", "/", None, {}) for _ in range(2)]

    assert [len(answer.body) for answer in answers] == [1 << 20, len(Reply().body)]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a..b", f"{'a' * 70}.example"])
def test_unknown_host_is_no_response(host: str) -> None:
    with pytest.raises(NoResponseError):
        posts(f"http://{host}:9")


def test_proxy_receives_user_and_password(site: Site) -> None:
    posts("http://hpcobs.invalid", proxy=site.url.replace("//", "//ada:sec%2Fret@"))

    header = site.received[0].headers["Proxy-Authorization"]
    assert base64.b64decode(header.split()[1]) == b"ada:sec/ret"


def test_redirection_is_returned_unfollowed(site: Site) -> None:
    site.planned = [Reply(301, headers=(("Location", "https://other.example.org/"),))]

    with closing(HttpClient(site.url, timeout_seconds=WAIT_SECONDS)) as client:
        answer = client.request("GET", "/", None, {})

    assert (answer.status, answer.location) == (301, "https://other.example.org/")
    assert len(site.received) == 1
