"""Cursors: each decodes to its position, and no other text is accepted."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.queries import Position
from hpcobs.http import cursors

T0 = datetime(2026, 11, 2, 8, 0, 0, 123456, tzinfo=UTC)


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@given(
    st.integers(0, 7_258_118_399_999_999),  # microseconds from 1970 to 2200
    st.from_regex(r"[A-Za-z0-9._+\[\]-]{1,320}", fullmatch=True),
)
def test_cursor_decodes_to_its_position(microseconds: int, job_id: str) -> None:
    start_time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    position = Position(start_time, job_id)
    assert cursors.decode(cursors.encode(position)) == position


def test_cursor_needs_no_escapes_in_url() -> None:
    cursor = cursors.encode(Position(T0.astimezone(timezone(timedelta(hours=2))), "1_[2-3]"))
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%%%",
        "ä",
        encoded("[]"),
        encoded('["2026-11-02T08:00:00Z"]'),
        encoded('["2026-11-02T08:00:00", "1"]'),
        encoded('["2026-11-02T08:00:00Z", ""]'),
        encoded('["2026-11-02T08:00:00Z", "\\u0000"]'),
        encoded('["2026-11-02T08:00:00Z", "\\ud800"]'),
        encoded('["0001-01-01T00:00:00+14:00", "1"]'),
        encoded("[" * 2000),
    ],
)
def test_foreign_cursor_is_rejected(cursor: str) -> None:
    with pytest.raises(InvalidInputError, match="cursor"):
        cursors.decode(cursor)


@given(st.text(max_size=100))
def test_no_text_breaks_decoding(text: str) -> None:
    with pytest.raises(InvalidInputError):
        cursors.decode(text)
