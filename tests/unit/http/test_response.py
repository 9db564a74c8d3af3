"""Responses on their way through the gateway: what clients prefer, and never too large."""

from __future__ import annotations

import base64
import gzip
import json
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.http.response import (
    GZIP_FROM_BYTES,
    MAX_PAYLOAD_BYTES,
    TEXT_UP_TO_BYTES,
    Response,
    accepts_gzip,
    for_gateway,
    prefers_openmetrics,
    qualities,
)

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def sent(body: bytes, accept_encoding: str | None = None) -> dict[str, object]:
    envelope = for_gateway(Response(200, body), accept_encoding=accept_encoding)
    assert envelope is not None
    return envelope


def received(envelope: dict[str, object]) -> bytes:
    text = str(envelope["body"])
    body = base64.b64decode(text) if envelope["isBase64Encoded"] else text.encode()
    headers = envelope["headers"]
    assert isinstance(headers, dict)
    return gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body


@pytest.mark.parametrize("size", [0, 10, GZIP_FROM_BYTES + 1, TEXT_UP_TO_BYTES + 1, 4_000_000])
@pytest.mark.parametrize("accept_encoding", [None, "gzip", "gzip;q=0"])
def test_body_arrives_unchanged(size: int, accept_encoding: str | None) -> None:
    body = ("ä" * (size // 2)).encode()
    assert received(sent(body, accept_encoding)) == body


def test_small_body_is_not_packed() -> None:
    assert sent(b"x" * GZIP_FROM_BYTES, "gzip")["isBase64Encoded"] is False


def test_large_body_varies_by_accept_encoding() -> None:
    for accept_encoding in (None, "gzip"):
        headers = sent(b"x" * 2000, accept_encoding)["headers"]
        assert isinstance(headers, dict)
        assert headers["Vary"] == "Accept-Encoding"


def test_response_forbids_caching_and_sniffing() -> None:
    headers = sent(b"{}")["headers"]
    assert isinstance(headers, dict)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_fully_escaped_text_fits_into_lambda_response() -> None:
    envelope = sent(b'"' * TEXT_UP_TO_BYTES)
    assert len(json.dumps(envelope)) < MAX_PAYLOAD_BYTES


def test_too_large_body_is_not_sent() -> None:
    body = b"x" * 7_000_000
    assert for_gateway(Response(200, body), accept_encoding=None) is None
    assert received(sent(body, "gzip")) == body
    noise = random.Random(1).randbytes(7_000_000)
    assert for_gateway(Response(200, noise), accept_encoding="gzip") is None


def test_times_are_written_in_rfc_3339() -> None:
    response = Response.json({"t": datetime(2026, 11, 2, 8, 0, 0, 500, tzinfo=UTC)})
    assert response.body == b'{"t":"2026-11-02T08:00:00.000500Z"}'


@pytest.mark.parametrize(
    "header", ["gzip", "GZIP", "br, gzip;q=0.5", "x-gzip", "*", "gzip; q=0.2, identity;q=0.1"]
)
def test_gzip_is_accepted(header: str) -> None:
    assert accepts_gzip(header)


@pytest.mark.parametrize(
    "header",
    [None, "", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzip;q=0.5, identity", "gzip;q=x"],
)
def test_gzip_is_not_accepted(header: str | None) -> None:
    assert not accepts_gzip(header)


@pytest.mark.parametrize("header", [PROMETHEUS, "application/openmetrics-text"])
def test_openmetrics_is_preferred_when_named(header: str) -> None:
    assert prefers_openmetrics(header)


@pytest.mark.parametrize(
    "header", [None, "*/*", "text/plain, application/openmetrics-text;q=0.5", "text/html"]
)
def test_prometheus_text_is_the_default(header: str | None) -> None:
    assert not prefers_openmetrics(header)


@given(st.text())
def test_any_accept_header_parses(header: str) -> None:
    assert all(0 <= quality <= 1 for quality in qualities(header).values())
