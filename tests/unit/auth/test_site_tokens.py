"""Site tokens: which are accepted, and that no others are."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.auth.principal import Principal
from hpcobs.auth.site_tokens import issue, verify
from hpcobs.domain.errors import UnauthorizedError

SECRET = "a secret of the site, long enough for it"
OTHER = "a secret of another site, long enough too"


def later(seconds: float = 3600) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def signed(**claims: Any) -> str:
    given_claims = {"sub": "ada", "scope": "jobs:read", "exp": later(), **claims}
    return jwt.encode(
        {name: value for name, value in given_claims.items() if value is not None},
        SECRET,
        algorithm="HS256",
    )


def unsigned(header: str | dict[str, Any], claims: dict[str, Any]) -> str:
    text = header if isinstance(header, str) else json.dumps(header)
    parts = [text.encode(), json.dumps(claims).encode(), b""]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def refusal_of(token: str, **options: Any) -> str:
    with pytest.raises(UnauthorizedError) as caught:
        verify(token, SECRET, **options)
    return caught.value.message


def test_issued_token_names_its_principal() -> None:
    end = later()
    token = issue(
        SECRET, subject="ada", scopes=["jobs:read", "jobs:write"], expires_at=end, user="ada"
    )
    assert verify(token, SECRET) == Principal(
        subject="ada",
        scopes=frozenset({"jobs:read", "jobs:write"}),
        user="ada",
        expires_at=int(end.timestamp()),
    )


def test_node_token_is_limited_to_node() -> None:
    token = issue(SECRET, subject="n1", scopes=["samples:write"], expires_at=later(), node="n1")
    assert verify(token, SECRET).node == "n1"


def test_cluster_token_is_limited_to_cluster() -> None:
    token = issue(SECRET, subject="c", scopes=["events:write"], expires_at=later(), cluster="b")
    assert verify(token, SECRET).cluster == "b"


def test_expired_token_is_rejected() -> None:
    assert refusal_of(signed(exp=later(-60))) == "the token has expired"


def test_clocks_may_differ_by_seconds() -> None:
    assert verify(signed(exp=later(-3)), SECRET).subject == "ada"


def test_future_token_is_rejected() -> None:
    assert refusal_of(signed(nbf=later(120))) == "the token is not valid yet"


def test_token_of_other_secret_is_rejected() -> None:
    token = issue(OTHER, subject="ada", scopes=["admin"], expires_at=later())
    assert refusal_of(token) == "the token is not valid"


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "RS256", "hs256"])
def test_other_algorithms_are_rejected(algorithm: str) -> None:
    claims = {"sub": "ada", "scope": "admin", "exp": later().timestamp()}
    assert (
        refusal_of(unsigned({"alg": algorithm, "typ": "JWT"}, claims)) == "the token is not valid"
    )


def test_longer_hash_is_rejected() -> None:
    claims = {"sub": "ada", "exp": later()}
    token = jwt.encode(claims, SECRET * 2, algorithm="HS512")
    assert refusal_of(token) == "the token is not valid"


@pytest.mark.parametrize("claim", ["sub", "exp"])
def test_token_needs_subject_and_end(claim: str) -> None:
    assert refusal_of(signed(**{claim: None})) == "the token is not valid"


def test_token_without_scope_allows_nothing() -> None:
    assert verify(signed(scope=None), SECRET).scopes == frozenset()


@pytest.mark.parametrize("scope", [["admin"], 5, True])
def test_scope_must_be_a_text(scope: object) -> None:
    assert "scope" in refusal_of(signed(scope=scope))


@pytest.mark.parametrize("value", ["", "n\0", "n\n1", "x" * 256, 7, ["n1"], {}])
@pytest.mark.parametrize("claim", ["node", "user", "cluster"])
def test_malformed_limit_is_rejected(claim: str, value: object) -> None:
    assert claim in refusal_of(signed(**{claim: value}))


@pytest.mark.parametrize("value", ["", "a\0da", "a\nda", "x" * 256])
def test_subject_must_be_short_and_printable(value: str) -> None:
    refusal_of(signed(sub=value))


def test_issuer_and_audience_are_checked_when_set() -> None:
    token = issue(
        SECRET, subject="ada", scopes=[], expires_at=later(), issuer="lab", audience="hpcobs"
    )
    assert verify(token, SECRET, issuer="lab", audience="hpcobs").subject == "ada"
    assert refusal_of(token, issuer="other", audience="hpcobs") == "the token is not valid"
    assert refusal_of(token, issuer="lab", audience="other") == "the token is not valid"
    assert refusal_of(signed(), issuer="lab") == "the token is not valid"


def test_deeply_nested_header_is_rejected() -> None:
    assert refusal_of(unsigned("[" * 5000, {})) == "the token is not valid"


def test_infinite_end_is_rejected() -> None:
    payload = base64.urlsafe_b64encode(b'{"sub": "ada", "exp": 1e999}').rstrip(b"=")
    assert jwt.algorithms  # the signature below is right: only the claim is not
    header = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=")
    algorithm = jwt.get_algorithm_by_name("HS256")
    message = header + b"." + payload
    signature = algorithm.sign(message, algorithm.prepare_key(SECRET))
    token = (message + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
    assert refusal_of(token) == "the token is not valid"


def test_overlong_token_is_rejected() -> None:
    assert refusal_of(signed(padding="x" * 10_000)) == "the token is not valid"


@given(st.text(max_size=300))
def test_random_text_is_no_token(text: str) -> None:
    refusal_of(text)


@given(st.integers(0, 2000))
def test_changed_token_is_rejected(place: int) -> None:
    token = signed()
    place %= len(token) - 1  # the last character of base64 has bits that mean nothing
    swapped = "A" if token[place] != "A" else "B"
    refusal_of(token[:place] + swapped + token[place + 1 :])
