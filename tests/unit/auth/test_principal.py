"""Principals: their permissions, and their way from the authorizer to the functions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hpcobs.auth.principal import ANONYMOUS, Principal

NAMES = st.text(st.characters(codec="utf-8"), min_size=1)
SCOPES = st.frozensets(st.from_regex(r"[a-z]+:[a-z]+", fullmatch=True))


def test_principal_allows_its_scopes_only() -> None:
    principal = Principal(subject="ada", scopes=frozenset({"jobs:read"}))
    assert principal.allows("jobs:read")
    assert not principal.allows("jobs:write")


def test_admin_allows_everything() -> None:
    assert Principal(subject="root", scopes=frozenset({"admin"})).allows("jobs:write")


def test_anonymous_allows_nothing() -> None:
    assert not ANONYMOUS.allows("jobs:read")


@given(NAMES, SCOPES, st.none() | NAMES, st.none() | NAMES, st.none() | st.integers(0))
def test_principal_survives_authorizers_context(
    subject: str, scopes: frozenset[str], node: str | None, user: str | None, end: int | None
) -> None:
    principal = Principal(subject=subject, scopes=scopes, node=node, user=user, expires_at=end)
    assert Principal.from_context(principal.as_context()) == principal
