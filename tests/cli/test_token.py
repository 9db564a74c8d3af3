"""``hpcobs token`` issues tokens that the service takes, and refuses what it would not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from hpcobs.auth.tokens import verify

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Run

SECRET = "0123456789" * 4


@pytest.fixture(autouse=True)
def _secret(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    del run  # it clears the environment first
    monkeypatch.setenv("AUTH_SECRET", SECRET)


def test_a_token_has_the_scopes_that_were_asked_for(run: Run) -> None:
    result = run("token", "--scope", "jobs:read,metrics:read", "--scope", "events:write")
    assert (result.status, result.errors) == (0, "")
    principal = verify(result.output.strip(), SECRET)
    assert principal.scopes == {"jobs:read", "metrics:read", "events:write"}
    assert (principal.subject, principal.node, principal.user) == ("cli", None, None)


def test_a_nodes_token_is_limited_to_it_and_named_after_it(run: Run) -> None:
    result = run("token", "--scope", "samples:write", "--node", "n01")
    principal = verify(result.output.strip(), SECRET)
    assert (principal.subject, principal.node) == ("node-n01", "n01")


def test_a_users_token_is_limited_to_him_under_the_subject_that_is_given(run: Run) -> None:
    result = run("token", "--scope", "jobs:read", "--user", "ada", "--subject", "portal")
    principal = verify(result.output.strip(), SECRET)
    assert (principal.subject, principal.user) == ("portal", "ada")


@pytest.mark.parametrize(("ttl", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200)])
def test_it_is_valid_for_as_long_as_asked(ttl: str, seconds: int, run: Run) -> None:
    result = run("token", "--scope", "admin", "--ttl", ttl)
    principal = verify(result.output.strip(), SECRET)
    assert principal.expires_at is not None
    assert abs(principal.expires_at - time.time() - seconds) < 5


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scope", "jobs:raed"], "jobs:raed: not a scope"),
        (["--scope", ","], "no scope is named"),
        (["--scope", "admin", "--ttl", "soon"], "'soon' is not a duration"),
        (["--scope", "admin", "--ttl", "0s"], "at least 1s"),
        (["--scope", "admin", "--ttl", "999999999d"], "at most 3660d"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: list[str], complaint: str, run: Run
) -> None:
    result = run("token", *arguments)
    assert (result.status, result.output) == (1, "")
    assert result.errors.startswith("hpcobs: ")
    assert complaint in result.errors
    assert result.errors.count("\n") == 1


def test_a_scope_must_be_named(run: Run) -> None:
    assert run("token").status == 2


def test_without_a_secret_it_says_where_one_was_looked_for(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AUTH_SECRET")
    result = run("token", "--scope", "admin")
    assert result.status == 1
    assert "AUTH_SECRET is not set, and .hpcobs/secret cannot be read" in result.errors


def test_a_secret_that_is_too_short_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_SECRET", "short")
    result = run("token", "--scope", "admin")
    assert result.status == 1
    assert result.errors.startswith("hpcobs: AUTH_SECRET: ")
    assert "short" not in result.errors.partition(":")[2].partition(":")[2]


def test_a_local_services_secret_signs_where_no_other_is_given(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AUTH_SECRET")
    (tmp_path / "secret").write_text(SECRET + "\n")
    result = run("token", "--scope", "admin", "--data-dir", str(tmp_path))
    assert verify(result.output.strip(), SECRET).scopes == {"admin"}
