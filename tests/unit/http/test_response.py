"""Answers on their way through the gateway: packed where it is welcome, never too large."""

from __future__ import annotations

import base64
import gzip
import json
import random
from datetime import UTC, datetime

import pytest

from hpcobs.http.answers import (
    GZIP_FROM_BYTES,
    MAX_PAYLOAD_BYTES,
    TEXT_UP_TO_BYTES,
    Answer,
    for_gateway,
)


def sent(body: bytes, accept_encoding: str | None = None) -> dict[str, object]:
    response = for_gateway(Answer(200, body), accept_encoding=accept_encoding)
    assert response is not None
    return response


def received(response: dict[str, object]) -> bytes:
    text = str(response["body"])
    body = base64.b64decode(text) if response["isBase64Encoded"] else text.encode()
    headers = response["headers"]
    assert isinstance(headers, dict)
    return gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body


@pytest.mark.parametrize("size", [0, 10, GZIP_FROM_BYTES + 1, TEXT_UP_TO_BYTES + 1, 4_000_000])
@pytest.mark.parametrize("accept_encoding", [None, "gzip", "gzip;q=0"])
def test_every_body_arrives_as_it_was(size: int, accept_encoding: str | None) -> None:
    body = ("ä" * (size // 2)).encode()
    assert received(sent(body, accept_encoding)) == body


def test_small_answers_are_not_packed() -> None:
    assert sent(b"x" * GZIP_FROM_BYTES, "gzip")["isBase64Encoded"] is False


def test_caches_are_told_that_the_coding_was_chosen() -> None:
    for accept_encoding in (None, "gzip"):
        headers = sent(b"x" * 2000, accept_encoding)["headers"]
        assert isinstance(headers, dict)
        assert headers["Vary"] == "Accept-Encoding"


def test_nothing_is_kept_or_guessed_by_those_in_between() -> None:
    headers = sent(b"{}")["headers"]
    assert isinstance(headers, dict)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_text_with_every_character_escaped_still_fits_into_a_lambdas_response() -> None:
    response = sent(b'"' * TEXT_UP_TO_BYTES)
    assert len(json.dumps(response)) < MAX_PAYLOAD_BYTES


def test_what_does_not_fit_is_not_sent() -> None:
    body = b"x" * 7_000_000
    assert for_gateway(Answer(200, body), accept_encoding=None) is None
    assert received(sent(body, "gzip")) == body
    noise = random.Random(1).randbytes(7_000_000)
    assert for_gateway(Answer(200, noise), accept_encoding="gzip") is None


def test_times_are_written_in_rfc_3339() -> None:
    answer = Answer.json({"t": datetime(2026, 11, 2, 8, 0, 0, 500, tzinfo=UTC)})
    assert answer.body == b'{"t":"2026-11-02T08:00:00.000500Z"}'
