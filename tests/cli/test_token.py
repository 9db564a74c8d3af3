"""``hpcobs token`` issues tokens that the service accepts, and inspects tokens."""

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


def test_token_has_requested_scopes(run: Run) -> None:
    result = run("token", "--scope", "jobs:read,metrics:read", "--scope", "events:write")
    assert (result.status, result.errors) == (0, "")
    principal = verify(result.output.strip(), SECRET)
    assert principal.scopes == {"jobs:read", "metrics:read", "events:write"}
    assert (principal.subject, principal.node, principal.user) == ("cli", None, None)


def test_node_token_is_limited_and_named(run: Run) -> None:
    result = run("token", "--scope", "samples:write", "--node", "n01")
    principal = verify(result.output.strip(), SECRET)
    assert (principal.subject, principal.node) == ("node-n01", "n01")


def test_token_is_bound_to_cluster(run: Run) -> None:
    result = run("token", "--scope", "events:write", "--node", "n1", "--cluster", "b")
    principal = verify(result.output.strip(), SECRET)
    assert (principal.subject, principal.node, principal.cluster) == ("node-n1", "n1", "b")


def test_user_token_has_given_subject(run: Run) -> None:
    result = run("token", "--scope", "jobs:read", "--user", "ada", "--subject", "portal")
    principal = verify(result.output.strip(), SECRET)
    assert (principal.subject, principal.user) == ("portal", "ada")


@pytest.mark.parametrize(("ttl", "seconds"), [("90s", 90), ("15m", 900), ("12h", 43_200)])
def test_token_expires_after_ttl(ttl: str, seconds: int, run: Run) -> None:
    before = int(time.time())
    result = run("token", "--scope", "admin", "--ttl", ttl)
    after = time.time()
    principal = verify(result.output.strip(), SECRET)
    assert principal.expires_at is not None
    assert before <= principal.expires_at - seconds <= after


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--scope", "jobs:raed"], "jobs:raed: not a scope"),
        (["--scope", ","], "no scope is given"),
        (["--scope", "admin", "--ttl", "401d"], "at most 400d"),
        (["--scope", "samples:write", "--node", "n[1-2]"], "several nodes need --directory"),
        (
            ["--scope", "admin", "--node", "n[1-2]", "--directory", "d", "--subject", "s"],
            "take no --subject",
        ),
        (["--scope", "admin", "--directory", "d"], "--directory needs --node"),
        (["--scope", "admin", "--node", "n[1-"], "--node is not a list of nodes"),
        (["--scope", "admin", "--node", "../n1", "--directory", "d"], "--node is not a list"),
        (["--scope", "admin", "--cluster", "b c"], "--cluster 'b c' is not a cluster's name"),
        (["--inspect", "missing"], "missing: No such file or directory"),
        (["--scope", "admin", "--ttl", "soon"], "'soon' is not a duration"),
        (["--scope", "admin", "--ttl", "0s"], "at least 1s"),
        (["--scope", "admin", "--ttl", "999999999d"], "at most 400d"),
    ],
)
def test_invalid_options_fail_with_one_line(arguments: list[str], complaint: str, run: Run) -> None:
    result = run("token", *arguments)
    assert (result.status, result.output) == (1, "")
    assert result.errors.startswith("hpcobs: ")
    assert complaint in result.errors
    assert result.errors.count("\n") == 1


def test_missing_scope_is_usage_error(run: Run) -> None:
    assert run("token").status == 2


def test_missing_secret_names_places_searched(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUTH_SECRET")
    result = run("token", "--scope", "admin")
    assert result.status == 1
    assert "AUTH_SECRET_ARN is set, and .hpcobs/secret cannot be read" in result.errors


def test_short_secret_is_rejected(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTH_SECRET", "short")
    result = run("token", "--scope", "admin")
    assert result.status == 1
    assert result.errors.startswith("hpcobs: AUTH_SECRET: ")
    assert "short" not in result.errors.partition(":")[2].partition(":")[2]


def test_local_secret_signs_by_default(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AUTH_SECRET")
    (tmp_path / "secret").write_text(SECRET + "\n")
    result = run("token", "--scope", "admin", "--data-dir", str(tmp_path))
    assert verify(result.output.strip(), SECRET).scopes == {"admin"}


def test_tokens_of_nodes_are_private_files(run: Run, tmp_path: Path) -> None:
    directory = tmp_path / "tokens"
    arguments = ("token", "--scope", "samples:write", "--node", "n[08-11],login1")
    result = run(*arguments, "--directory", str(directory))
    assert (result.status, result.output) == (0, f"5 tokens in {directory}\n")
    assert directory.stat().st_mode & 0o777 == 0o700
    names = {f"n{number:02}" for number in range(8, 12)} | {"login1"}
    assert {path.name for path in directory.iterdir()} == {f"{name}.token" for name in names}
    for name in names:
        file = directory / f"{name}.token"
        assert file.stat().st_mode & 0o777 == 0o600
        principal = verify(file.read_text().strip(), SECRET)
        assert (principal.subject, principal.node) == (f"node-{name}", name)


def test_unwritable_directory_prints_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("token", "--scope", "admin", "--node", "n1", "--directory", f"{tmp_path}/file/d")
    assert (result.status, result.output) == (1, "")
    assert "Not a directory" in result.errors


def test_token_is_inspected_without_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = run("token", "--scope", "jobs:read", "--user", "ada", "--ttl", "1h").output
    monkeypatch.delenv("AUTH_SECRET")
    (tmp_path / "token").write_text(text)
    inspected = run("token", "--inspect", str(tmp_path / "token"))
    assert inspected.status == 0
    assert "user       ada" in inspected.output
    assert "scope      jobs:read" in inspected.output
    assert "expired" not in inspected.output
    assert "signature not checked" in inspected.output
    assert text.strip() not in inspected.output


def test_invalid_token_is_not_printed(run: Run, tmp_path: Path) -> None:
    for content in ("secret", "a.b.c", "[" * 5000, "\n"):
        (tmp_path / "token").write_text(content)
        result = run("token", "--inspect", str(tmp_path / "token"))
        assert (result.status, result.output) == (1, "")
        assert "the file has no token" in result.errors


def test_inspection_marks_expired_token(run: Run, tmp_path: Path) -> None:
    end = datetime.now(UTC) - timedelta(days=1)
    text = issue(SECRET, subject="n1", scopes=["samples:write"], expires_at=end)
    (tmp_path / "token").write_text(text)
    assert "Z, expired" in run("token", "--inspect", str(tmp_path / "token")).output


def test_own_token_has_no_issuer_beside_provider(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_key_of_secrets_manager_signs(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = boto3.client("secretsmanager", region_name="eu-west-1")
    arn = manager.create_secret(Name="key", SecretString="x" * 64)["ARN"]
    manager.put_secret_value(SecretId=arn, SecretString=SECRET)
    monkeypatch.setenv("AUTH_SECRET_ARN", arn)
    result = run("token", "--scope", "admin")
    assert (result.status, result.errors) == (0, "")
    assert verify(result.output.strip(), SECRET).scopes == {"admin"}


@pytest.mark.usefixtures("aws")
def test_secrets_manager_error_prints_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none"
    monkeypatch.setenv("AUTH_SECRET_ARN", arn)
    result = run("token", "--scope", "admin")
    assert (result.status, result.output) == (1, "")
    assert "AUTH_SECRET_ARN: the signing key cannot be read: " in result.errors
    assert "ResourceNotFoundException" in result.errors
    assert result.errors.count("\n") == 1
