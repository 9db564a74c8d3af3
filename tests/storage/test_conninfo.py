"""A Lambda connects to RDS with an IAM token, and only over TLS with a trusted certificate."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from hpcobs.settings import Settings, read_settings
from hpcobs.storage.conninfo import connect_arguments
from infra.paths import AMAZON_CERTIFICATES, CERTIFICATES
from tests.certificates import self_signed, server_context

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"
"""PostgreSQL's SSLRequest, with which libpq begins."""
YES, NO = b"S", b"N"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


def _site(host: str, port: int) -> Settings:
    given = {"DB_HOST": host, "DB_PORT": str(port), "DB_USER": "hpcobs", "DB_IAM_AUTH": "true"}
    return read_settings(given)


class Server:
    """A server that speaks PostgreSQL as far as TLS. ``received`` is the first data after it."""

    def __init__(self, certificate: Path, *, tls: bytes) -> None:
        self.received = b""
        self._context = server_context(certificate)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError), ExitStack() as opened:
            connection, _ = self._listener.accept()
            opened.enter_context(connection)
            assert connection.recv(8) == SSL_REQUEST
            connection.sendall(self._tls)
            if self._tls == YES:
                secure = self._context.wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
                connection = opened.enter_context(secure)
            self.received = connection.recv(1000)

    def close(self) -> None:
        """Accept no more connections, and wait for the current one."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path / "server.pem")


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    server = Server(certificate, tls=YES)
    yield server
    server.close()


def _connect(server: Server, host: str = "127.0.0.1") -> str:
    """Connect, and return the error: at the latest the server closes the connection."""
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(**connect_arguments(_site(host, server.port))())
    server.close()
    return str(caught.value)


def test_password_is_signed_token_for_host() -> None:
    arguments = connect_arguments(_site("db.example.org", 5432))()
    token = urlsplit(f"https://{arguments['password']}")
    assert (token.hostname, token.port) == ("db.example.org", 5432)
    query = parse_qs(token.query)
    assert (query["Action"], query["DBUser"]) == (["connect"], ["hpcobs"])
    assert query["X-Amz-Signature"]
    assert query["X-Amz-Expires"] == ["900"]


def test_trusted_server_receives_login(
    server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(certificate))
    _connect(server)
    assert b"user\0hpcobs\0" in server.received


@pytest.mark.parametrize("bundle", [CERTIFICATES, AMAZON_CERTIFICATES])
def test_untrusted_server_receives_no_login(
    server: Server, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(bundle))
    assert "certificate verify failed" in _connect(server)
    assert server.received == b""


def test_misnamed_server_receives_no_login(
    server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(certificate))
    assert "does not match host name" in _connect(server, host="localhost")
    assert server.received == b""


def test_server_without_tls_receives_no_login(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(certificate))
    server = Server(certificate, tls=NO)
    assert "server does not support SSL" in _connect(server)
    assert server.received == b""


def test_missing_bundle_trusts_no_server(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGSSLROOTCERT", str(tmp_path / "none.pem"))
    assert "none.pem" in _connect(server)
    assert server.received == b""
