"""Tokens in the Authorization header."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.auth.authenticator import token_in
from hpcobs.domain.errors import UnauthorizedError


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("header", ["Bearer abc", "bearer abc", "BEARER   abc ", basic("any:abc")])
def test_token_is_found_in_header(header: str) -> None:
    assert token_in(header) == "abc"


def test_password_may_contain_colons() -> None:
    assert token_in(basic(":a:b")) == "a:b"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "abc", "Digest abc", basic("abc"), basic("abc:")]
)
def test_missing_token_is_unauthorized(header: str | None) -> None:
    with pytest.raises(UnauthorizedError, match="token"):
        token_in(header)


@pytest.mark.parametrize("value", ["###", "YQ", "/w==", "YTpi\N{SNOWMAN}"])
def test_malformed_basic_credentials_are_named(value: str) -> None:
    with pytest.raises(UnauthorizedError, match="Basic"):
        token_in(f"Basic {value}")


@given(st.text())
def test_any_header_is_token_or_unauthorized(header: str) -> None:
    with contextlib.suppress(UnauthorizedError):
        assert token_in(header)
