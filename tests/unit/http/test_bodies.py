"""Bodies: unpacked within limits, each fault with its own error."""

from __future__ import annotations

import base64
import contextlib
import gzip
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.http.errors import (
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
)
from hpcobs.http.request import MAX_BODY_BYTES, read_body

GZIP = {"content-encoding": "gzip"}
SMALL = gzip.compress(b"{}")


def packed(body: bytes) -> dict[str, Any]:
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


@given(st.binary(max_size=2000))
def test_gzip_body_is_unpacked(content: bytes) -> None:
    assert read_body(packed(gzip.compress(content)), GZIP) == content


def test_plain_body_is_read_unchanged() -> None:
    assert read_body({"body": '{"a": "ä"}'}, {}) == '{"a": "ä"}'.encode()


def test_missing_body_is_empty() -> None:
    assert read_body({}, {}) == b""


@pytest.mark.parametrize("coding", ["identity", "", "x-gzip", " GZIP "])
def test_known_codings_are_accepted(coding: str) -> None:
    content = gzip.compress(b"{}") if "gz" in coding.lower() else b"{}"
    assert read_body(packed(content), {"content-encoding": coding}) == b"{}"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd"])
def test_other_codings_are_rejected(coding: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        read_body(packed(b"{}"), {"content-encoding": coding})


def test_gzip_bomb_is_rejected_at_limit() -> None:
    bomb = gzip.compress(bytes(200 * 1024 * 1024), compresslevel=9)
    with pytest.raises(PayloadTooLargeError):
        read_body(packed(bomb), GZIP)


def test_body_of_exactly_the_limit_is_accepted() -> None:
    content = bytes(MAX_BODY_BYTES)
    assert len(read_body(packed(gzip.compress(content)), GZIP)) == MAX_BODY_BYTES
    with pytest.raises(PayloadTooLargeError):
        read_body(packed(gzip.compress(content + b"x")), GZIP)


def test_plain_body_has_same_limit() -> None:
    with pytest.raises(PayloadTooLargeError):
        read_body({"body": "x" * (MAX_BODY_BYTES + 1)}, {})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        SMALL[:-1],
        SMALL + b"x",
        SMALL + SMALL,
        zlib.compress(b"{}"),
        SMALL[:-8] + bytes(8),
    ],
    ids=["empty", "plain", "cut", "trailing", "two streams", "zlib", "bad checksum"],
)
def test_broken_gzip_stream_is_rejected(content: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="gzip"):
        read_body(packed(content), GZIP)


@given(st.binary(max_size=200))
def test_no_bytes_break_unpacking(content: bytes) -> None:
    with contextlib.suppress(InvalidRequestError):
        read_body(packed(content), GZIP)


def test_bad_base64_is_rejected() -> None:
    with pytest.raises(InvalidRequestError, match="base64"):
        read_body({"body": "%%%", "isBase64Encoded": True}, {})


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/merge-patch+json",
    ],
)
def test_json_content_types_are_accepted(content_type: str) -> None:
    assert read_body({"body": "{}"}, {"content-type": content_type}) == b"{}"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "text/json+json",
        ";",
    ],
)
def test_other_content_types_are_rejected(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        read_body({"body": "{}"}, {"content-type": content_type})
