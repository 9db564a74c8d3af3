"""``hpcobs token`` issues tokens that the service takes, and refuses what it would not."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import jwt
import pytest
from moto import mock_aws

from hpcobs.auth.site_tokens import issue, verify

if TYPE_CHECKING:
    from collections.abc import Iterator
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
        (["--scope", "admin", "--ttl", "401d"], "at most 400d"),
        (["--scope", "samples:write", "--node", "n[1-2]"], "several nodes need --directory"),
        (
            ["--scope", "admin", "--node", "n[1-2]", "--directory", "d", "--subject", "s"],
            "take no --subject",
        ),
        (["--scope", "admin", "--directory", "d"], "--node says which"),
        (["--scope", "admin", "--node", "n[1-"], "--node is not a list of nodes"),
        (["--scope", "admin", "--node", "../n1", "--directory", "d"], "--node is not a list"),
        (["--inspect", "missing"], "missing: No such file or directory"),
        (["--scope", "admin", "--ttl", "soon"], "'soon' is not a duration"),
        (["--scope", "admin", "--ttl", "0s"], "at least 1s"),
        (["--scope", "admin", "--ttl", "999999999d"], "at most 400d"),
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
    assert "AUTH_SECRET_ARN is set, and .hpcobs/secret cannot be read" in result.errors


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


def test_the_tokens_of_many_nodes_are_written_for_their_owner_only(
    run: Run, tmp_path: Path
) -> None:
    directory = tmp_path / "tokens"
    asked = ("token", "--scope", "samples:write", "--node", "n[08-11],login1")
    result = run(*asked, "--directory", str(directory))
    assert (result.status, result.output) == (0, f"5 tokens in {directory}\n")
    assert directory.stat().st_mode & 0o777 == 0o700
    names = {f"n{number:02}" for number in range(8, 12)} | {"login1"}
    assert {path.name for path in directory.iterdir()} == {f"{name}.token" for name in names}
    for name in names:
        file = directory / f"{name}.token"
        assert file.stat().st_mode & 0o777 == 0o600
        principal = verify(file.read_text().strip(), SECRET)
        assert (principal.subject, principal.node) == (f"node-{name}", name)


def test_a_directory_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("token", "--scope", "admin", "--node", "n1", "--directory", f"{tmp_path}/file/d")
    assert (result.status, result.output) == (1, "")
    assert "Not a directory" in result.errors


def test_a_token_is_looked_into_without_its_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = run("token", "--scope", "jobs:read", "--user", "ada", "--ttl", "1h").output
    monkeypatch.delenv("AUTH_SECRET")
    (tmp_path / "token").write_text(text)
    told = run("token", "--inspect", str(tmp_path / "token"))
    assert told.status == 0
    assert "user       ada" in told.output
    assert "scope      jobs:read" in told.output
    assert "expired" not in told.output
    assert "not checked here" in told.output
    assert text.strip() not in told.output


def test_what_is_no_token_is_told_so_and_not_printed(run: Run, tmp_path: Path) -> None:
    for content in ("secret", "a.b.c", "[" * 5000, "\n"):
        (tmp_path / "token").write_text(content)
        result = run("token", "--inspect", str(tmp_path / "token"))
        assert (result.status, result.output) == (1, "")
        assert "there is no token in it" in result.errors


def test_an_expired_token_is_seen_to_be(run: Run, tmp_path: Path) -> None:
    end = datetime.now(UTC) - timedelta(days=1)
    text = issue(SECRET, subject="n1", scopes=["samples:write"], expires_at=end)
    (tmp_path / "token").write_text(text)
    assert "Z, expired" in run("token", "--inspect", str(tmp_path / "token")).output


def test_beside_an_identity_provider_own_tokens_name_no_issuer(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH_ISSUER", "lab")
    monkeypatch.setenv("AUTH_AUDIENCE", "hpcobs")
    own = run("token", "--scope", "admin").output.strip()
    assert verify(own, SECRET, issuer="lab", audience="hpcobs").subject == "cli"
    monkeypatch.setenv("AUTH_JWKS_URL", "https://login.example.org/keys")
    claims = jwt.decode(run("token", "--scope", "admin").output.strip(), SECRET, ["HS256"])
    assert claims.keys() == {"sub", "scope", "exp"}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("AUTH_SECRET")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


@pytest.mark.usefixtures("aws")
def test_the_sites_key_on_aws_signs_by_its_arn(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = boto3.client("secretsmanager", region_name="eu-west-1")
    arn = manager.create_secret(Name="key", SecretString="x" * 64)["ARN"]
    manager.put_secret_value(SecretId=arn, SecretString=SECRET)
    monkeypatch.setenv("AUTH_SECRET_ARN", arn)
    result = run("token", "--scope", "admin")
    assert (result.status, result.errors) == (0, "")
    assert verify(result.output.strip(), SECRET).scopes == {"admin"}


@pytest.mark.usefixtures("aws")
def test_what_aws_says_against_it_is_told_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none"
    monkeypatch.setenv("AUTH_SECRET_ARN", arn)
    result = run("token", "--scope", "admin")
    assert (result.status, result.output) == (1, "")
    assert "AUTH_SECRET_ARN: the signing key cannot be read: " in result.errors
    assert "ResourceNotFoundException" in result.errors
    assert result.errors.count("\n") == 1
