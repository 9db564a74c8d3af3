"""Principals: their permissions, and their way from the authorizer to the functions."""

from __future__ import annotations

from typing import Any

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


LIMITS = st.fixed_dictionaries(
    {},
    optional={"node": NAMES, "user": NAMES, "cluster": NAMES, "expires_at": st.integers(0)},
)


@given(NAMES, SCOPES, LIMITS)
def test_principal_survives_authorizers_context(
    subject: str, scopes: frozenset[str], limits: dict[str, Any]
) -> None:
    principal = Principal(subject=subject, scopes=scopes, **limits)
    assert Principal.from_context(principal.as_context()) == principal


@given(NAMES, st.none() | NAMES, st.none() | NAMES)
def test_node_always_speaks_for_one_cluster(
    home: str, node: str | None, cluster: str | None
) -> None:
    bound = Principal(subject="x", node=node, cluster=cluster).bound_cluster(home)
    assert bound == (cluster or (home if node else None))
