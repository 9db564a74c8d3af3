"""The gateway's connections: how many may be open, and which one makes room for another."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from hpcobs_local.gateway import server
from hpcobs_local.gateway.server import allow_connections
from tests.local.gateways import Functions, serving
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW = 20
"""The connections that these tests allow."""

HALF_HEAD = b"GET /v1/health HTTP/1.1\r\nHost: h\r\nX-Slow: "
HALF_BODY = (
    b"POST /v1/samples HTTP/1.1\r\nHost: h\r\nAuthorization: t\r\nContent-Length: 99\r\n\r\nx"
)
WHOLE = b"GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n"

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(autouse=True)
def few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "allow_connections", lambda: FEW)


@pytest.fixture
def open_files() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


async def connections(url: str, count: int, *, sending: bytes) -> list[Connection]:
    """Open connections, and send the same bytes on each."""
    address = urlsplit(url)
    made = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(sending)
        await writer.drain()
        made.append((reader, writer))
    return made


async def ends(connection: Connection) -> bytes:
    """Return all that the server sends until it closes the connection."""
    reader, writer = connection
    received = await asyncio.wait_for(reader.read(), WAIT_SECONDS)
    writer.close()
    return received


def close(made: list[Connection]) -> None:
    for _, writer in made:
        writer.close()


@pytest.mark.parametrize("sent", [b"", b"G", HALF_HEAD, HALF_BODY, WHOLE])
def test_waiting_connections_keep_nobody_out(sent: bytes) -> None:
    async def run() -> None:
        async with serving(Functions(), lambda _: None) as url:
            held = await connections(url, 3 * FEW, sending=sent)
            async with httpx.AsyncClient(base_url=url, timeout=WAIT_SECONDS) as client:
                for _ in range(3):
                    assert (await client.get("/v1/health")).status_code == 200
            close(held)

    asyncio.run(run())


def test_longest_waiting_connection_makes_room() -> None:
    async def run() -> None:
        async with serving(Functions(), lambda _: None) as url:
            held = await connections(url, FEW + 1, sending=HALF_HEAD)
            first = await ends(held[0])
            assert first.startswith(b"HTTP/1.1 429 ")
            assert b"retry-after: 5" in first
            assert b'{"error":"too_many_requests","message":"too many connections' in first
            for reader, writer in held[1:]:
                writer.write(b"x\r\n\r\n")
                line = await asyncio.wait_for(reader.readline(), WAIT_SECONDS)
                assert line == b"HTTP/1.1 200 OK\r\n"
            close(held)

    asyncio.run(run())


def test_idle_connection_gets_no_error() -> None:
    async def run() -> None:
        async with serving(Functions(), lambda _: None) as url:
            held = await connections(url, FEW, sending=WHOLE)
            for reader, _ in held:
                await asyncio.wait_for(reader.readuntil(b"{}"), WAIT_SECONDS)
            held += await connections(url, 1, sending=b"")
            assert await ends(held[0]) == b""
            close(held)

    asyncio.run(run())


def test_running_requests_are_never_closed() -> None:
    class SlowFunctions(Functions):
        release, all_run, begun = asyncio.Event(), asyncio.Event(), 0

        async def invoke(self, function: str, event: object) -> object:
            self.begun += 1
            if self.begun == FEW:
                self.all_run.set()
            await self.release.wait()
            return await super().invoke(function, event)

    async def run() -> None:
        functions = SlowFunctions()
        async with serving(functions, lambda _: None) as url:
            running = await connections(url, FEW, sending=WHOLE)
            await asyncio.wait_for(functions.all_run.wait(), WAIT_SECONDS)
            (refused,) = await connections(url, 1, sending=WHOLE)
            assert (await ends(refused)).startswith(b"HTTP/1.1 429 ")
            functions.release.set()
            for reader, _ in running:
                line = await asyncio.wait_for(reader.readline(), WAIT_SECONDS)
                assert line == b"HTTP/1.1 200 OK\r\n"
            close(running)

    asyncio.run(run())


def test_other_client_keeps_its_connection() -> None:
    async def run() -> None:
        async with serving(Functions(), lambda _: None) as url:
            port = urlsplit(url).port
            # 127.0.0.2 is another host to the gateway. It waits longest, but with one connection.
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, local_addr=("127.0.0.2", 0)
            )
            writer.write(HALF_HEAD)
            await writer.drain()
            held = await connections(url, 2 * FEW, sending=HALF_HEAD)
            writer.write(b"x\r\n\r\n")
            line = await asyncio.wait_for(reader.readline(), WAIT_SECONDS)
            assert line == b"HTTP/1.1 200 OK\r\n"
            writer.close()
            close(held)

    asyncio.run(run())


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01 this is TLS\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    ],
)
def test_bytes_that_are_no_request_get_400(sent: bytes) -> None:
    async def run() -> bytes:
        async with serving(Functions(), lambda _: None) as url:
            (connection,) = await connections(url, 1, sending=sent)
            return await ends(connection)

    received = asyncio.run(run())
    assert received.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in received
    assert b"x-correlation-id: " in received
    assert b'{"error":"invalid_request","message":"the request is not valid HTTP/1.1"}' in received


def test_bad_chunk_after_head_gets_400() -> None:
    async def run() -> bytes:
        head = b"POST /v1/samples HTTP/1.1\r\nHost: h\r\nAuthorization: t\r\n"
        chunk = b"Transfer-Encoding: chunked\r\n\r\nnot a size\r\n"
        async with serving(Functions(), lambda _: None) as url:
            (connection,) = await connections(url, 1, sending=head + chunk)
            return await ends(connection)

    assert asyncio.run(run()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.usefixtures("open_files")
def test_connections_fit_open_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    bound = allow_connections()
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert bound <= soft // 2
    assert soft > 256
