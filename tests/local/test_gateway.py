"""The gateway: authorisation, limits, and the responses to failures of functions."""

from __future__ import annotations

import asyncio
import base64
import socket
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from hpcobs_local.environment import EnvironmentDiedError, HandlerError, TimedOutError
from hpcobs_local.gateway import protocol, requests, server
from hpcobs_local.gateway.authorization import CACHE_ENTRIES, CACHE_SECONDS, Authorization
from hpcobs_local.gateway.matching import RouteTable
from hpcobs_local.gateway.requests import Request
from hpcobs_local.runtime import BusyError
from tests.local.gateways import Functions, ask, serving
from tests.waiting import WAIT_SECONDS

TOO_MUCH = 10 * 1024 * 1024 + 1


def test_missing_token_invokes_no_function() -> None:
    functions = Functions()
    response = ask(functions, "GET", "/v1/jobs", authorization=None)
    assert response.status_code == 401
    assert response.json() == {"error": "unauthorized", "message": "a token is needed"}
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert functions.events == []


def test_gateway_errors_have_correlation_id() -> None:
    headers = {"x-correlation-id": "mine"}
    response = ask(Functions(), "GET", "/v1/jobs", authorization=None, headers=headers)
    assert response.headers["x-correlation-id"] == "mine"
    response = ask(Functions(), "GET", "/v1/jobs", authorization=None)
    assert len(response.headers["x-correlation-id"]) == 36


def test_open_route_invokes_no_authorizer() -> None:
    functions = Functions()
    assert ask(functions, "GET", "/v1/health", authorization=None).status_code == 200
    assert [name for name, _ in functions.events] == ["api"]
    assert "authorizer" not in functions.of("api")[0]["requestContext"]


def test_authorizer_event_has_no_body() -> None:
    functions = Functions()
    ask(functions, "POST", "/v1/jobs", json={"secret": 1})
    (event,) = functions.of("authorizer")
    assert event["type"] == "REQUEST"
    assert event["identitySource"] == ["Bearer token"]
    assert event["headers"]["authorization"] == "Bearer token"
    assert event["routeKey"] == "POST /v1/jobs"
    assert "body" not in event


def test_denied_request_gets_403() -> None:
    functions = Functions(verdict={"isAuthorized": False})
    response = ask(functions, "GET", "/v1/jobs")
    assert (response.status_code, response.json()["error"]) == (403, "forbidden")
    assert functions.of("api") == []


def request(authorization: str) -> Request:
    return Request(
        method="GET",
        raw_path="/v1/jobs",
        query="",
        protocol="HTTP/1.1",
        headers={"authorization": authorization},
        cookies=(),
        source_ip="127.0.0.1",
    )


def test_verdict_is_cached_per_header_and_minute() -> None:
    functions, time = Functions(), [0.0]
    authorization = Authorization(functions, clock=lambda: time[0])
    match = RouteTable().match("GET", "/v1/jobs")

    async def invocations(header: str, now: float) -> int:
        time[0] = now
        await authorization.context(request(header), match)
        return len(functions.events)

    async def run() -> None:
        assert await invocations("Bearer a", 0) == 1
        assert await invocations("Bearer a", CACHE_SECONDS - 1) == 1
        assert await invocations("Bearer b", CACHE_SECONDS - 1) == 2
        assert await invocations("Bearer a", CACHE_SECONDS + 1) == 3

    asyncio.run(run())


def test_verdict_cache_is_bounded() -> None:
    functions = Functions()
    authorization = Authorization(functions)
    match = RouteTable().match("GET", "/v1/jobs")

    async def run() -> None:
        for number in range(CACHE_ENTRIES + 10):
            await authorization.context(request(f"Bearer {number}"), match)
        await authorization.context(request("Bearer 0"), match)

    asyncio.run(run())
    assert len(functions.events) == CACHE_ENTRIES + 11


@pytest.mark.parametrize(
    ("failure", "status", "error"),
    [
        (HandlerError("api: KeyError: secret"), 500, "internal_error"),
        (EnvironmentDiedError("api: died"), 500, "internal_error"),
        (TimedOutError("api: slow"), 503, "unavailable"),
        (BusyError("api: busy"), 429, "too_many_requests"),
    ],
)
def test_failed_function_gives_json_error(failure: Exception, status: int, error: str) -> None:
    response = ask(Functions(response=failure), "GET", "/v1/jobs")
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert "secret" not in response.text
    assert ("retry-after" in response.headers) == (status in (429, 503))


@pytest.mark.parametrize("result", [None, "text", {}, {"statusCode": "200"}])
def test_invalid_result_of_function_gives_500(result: Any) -> None:
    response = ask(Functions(response=result), "GET", "/v1/jobs")
    assert response.status_code == 500


def test_response_keeps_headers_and_cookies() -> None:
    result = {
        "statusCode": 201,
        "headers": {"X-Correlation-Id": "c", "Content-Type": "text/plain"},
        "cookies": ["a=1", "b=2"],
        "body": "ü",
    }
    response = ask(Functions(response=result), "GET", "/v1/jobs")
    assert (response.status_code, response.text) == (201, "ü")
    assert response.headers["x-correlation-id"] == "c"
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["apigw-requestid"]


def test_base64_response_is_decoded() -> None:
    body = base64.b64encode(b"\x00\xff").decode()
    result = {"statusCode": 200, "body": body, "isBase64Encoded": True}
    assert ask(Functions(response=result), "GET", "/v1/jobs").content == b"\x00\xff"


def test_empty_response_has_no_content_length() -> None:
    response = ask(Functions(response={"statusCode": 204}), "DELETE", "/v1/jobs/1")
    assert (response.status_code, response.content) == (204, b"")
    assert "content-length" not in response.headers


def test_headers_over_limit_reach_no_function() -> None:
    functions = Functions()
    response = ask(functions, "GET", "/v1/jobs", headers={"x-big": "x" * 10_240})
    assert (response.status_code, response.json()["error"]) == (431, "invalid_request")
    assert functions.events == []
    assert ask(functions, "GET", "/v1/jobs", headers={"x-big": "x" * 9000}).status_code == 200


def test_body_over_limit_gets_413_chunked_too() -> None:
    async def chunks() -> Any:
        for _ in range(11):
            yield b"x" * 1024 * 1024

    for content in (b"x" * TOO_MUCH, chunks()):
        functions = Functions()
        response = ask(functions, "POST", "/v1/samples", content=content)
        assert (response.status_code, response.json()["error"]) == (413, "payload_too_large")
        assert functions.of("ingest") == []


def test_body_at_limit_reaches_function() -> None:
    functions = Functions()
    ask(functions, "POST", "/v1/samples", content=b"x" * (TOO_MUCH - 1))
    assert len(functions.of("ingest")[0]["body"]) == TOO_MUCH - 1


def test_slow_body_times_out_and_blocks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_SECONDS", 0.3)
    monkeypatch.setattr(requests, "LINGER_SECONDS", 0.1)
    functions = Functions()

    async def run() -> None:
        async with serving(functions, lambda _: None) as url:
            address = urlsplit(url)
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            head = "POST /v1/samples HTTP/1.1\r\nHost: h\r\nAuthorization: t\r\n"
            writer.write(f"{head}Content-Length: 100\r\n\r\nx".encode())
            async with httpx.AsyncClient(base_url=url, timeout=WAIT_SECONDS) as client:
                assert (await client.get("/v1/health")).status_code == 200
            answer = await asyncio.wait_for(reader.read(), WAIT_SECONDS)
            assert b" 400 " in answer.partition(b"\r\n")[0]
            assert b"was not complete within" in answer
            writer.close()
            await writer.wait_closed()

    asyncio.run(run())
    assert functions.of("ingest") == []


@pytest.mark.parametrize("begun", [b"", b"GET /v1/health HTTP/1.1\r\nHost: h\r\nX-Slow: "])
def test_slow_head_closes_connection(begun: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)

    async def run() -> None:
        async with serving(Functions(), lambda _: None) as url:
            address = urlsplit(url)
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(begun)
            for _ in range(100):
                if reader.at_eof():
                    break
                await asyncio.sleep(0.02)
                writer.write(b"x" if begun else b"")
            with suppress(ConnectionError):  # what is written to a closed connection resets it
                assert await asyncio.wait_for(reader.read(), WAIT_SECONDS) == b""
            writer.close()

    asyncio.run(run())


def test_idle_connection_outlives_head_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 1.0)

    async def run() -> None:
        async with (
            serving(Functions(), lambda _: None) as url,
            httpx.AsyncClient(base_url=url, timeout=WAIT_SECONDS) as client,
        ):
            assert (await client.get("/v1/health")).status_code == 200
            await asyncio.sleep(1.5)
            assert (await client.get("/v1/health")).status_code == 200
            assert len(client._transport._pool.connections) == 1  # type: ignore[attr-defined]

    asyncio.run(run())


def test_aborted_body_reaches_no_function() -> None:
    functions, lines = Functions(), asyncio.Queue[str]()

    async def run() -> str:
        async with serving(functions, lines.put_nowait) as url:
            address = urlsplit(url)
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            head = "POST /v1/samples HTTP/1.1\r\nHost: h\r\nAuthorization: t\r\n"
            writer.write(f"{head}Content-Length: 100\r\n\r\nx".encode())
            await writer.drain()
            await asyncio.sleep(0.1)
            writer.close()
            await writer.wait_closed()
            return await lines.get()

    assert " gone " in asyncio.run(asyncio.wait_for(run(), WAIT_SECONDS))
    assert functions.of("ingest") == []


def test_access_log_has_no_secrets() -> None:
    lines: list[str] = []
    ask(
        Functions(),
        "GET",
        "/v1/jobs?token=inquery",
        log=lines.append,
        authorization="Bearer inheader",
    )
    (line,) = lines
    assert "127.0.0.1 GET '/v1/jobs' 200 2 B" in line
    assert "inquery" not in line
    assert "inheader" not in line


def test_taken_port_raises_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(OSError, match="in use"):
            server.bound_socket("127.0.0.1", taken.getsockname()[1])
