"""The rotation of the signing key, step by step as Secrets Manager calls it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from moto import mock_aws

from hpcobs import bootstrap
from hpcobs.auth import site_tokens
from hpcobs.auth.rotation import RotationError
from hpcobs.auth.signing_keys import MIN_CHARACTERS, SecretsManager
from hpcobs.domain.errors import UnauthorizedError
from tests.functions.gateway import CONTEXT, SECRET, handler

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@pytest.fixture
def arn(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Create the site's secret as a deployment does."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        made = boto3.client("secretsmanager").create_secret(Name="key", SecretString=SECRET)
        monkeypatch.setenv("AUTH_SECRET_ARN", made["ARN"])
        bootstrap.reset()
        yield str(made["ARN"])
        bootstrap.reset()


def call(arn: str, step: str, version: str) -> None:
    event: dict[str, Any] = {"Step": step, "SecretId": arn, "ClientRequestToken": version}
    handler("rotate")(event, CONTEXT)


def rotate(arn: str, *, times: int = 1) -> str:
    """Do one rotation, with each step called ``times`` times."""
    version = str(uuid4())
    for step in STEPS:
        for _ in range(times):
            call(arn, step, version)
    return version


def token_of(arn: str) -> str:
    end = datetime.now(UTC) + timedelta(hours=1)
    return site_tokens.issue(SecretsManager(arn)()[0], subject="n1", scopes=(), expires_at=end)


@pytest.mark.parametrize("times", [1, 2])
def test_rotation_keeps_previous_key_valid(arn: str, times: int) -> None:
    rotate(arn, times=times)
    current, previous = SecretsManager(arn)()
    assert previous == SECRET
    assert current != SECRET
    assert len(current) >= MIN_CHARACTERS


def test_token_survives_one_rotation_not_two(arn: str) -> None:
    old = token_of(arn)
    rotate(arn)
    assert site_tokens.verify(old, *SecretsManager(arn)()).subject == "n1"
    newer = token_of(arn)
    rotate(arn)
    assert site_tokens.verify(newer, *SecretsManager(arn)()).subject == "n1"
    with pytest.raises(UnauthorizedError):
        site_tokens.verify(old, *SecretsManager(arn)())


def test_key_changes_in_last_step_only(arn: str) -> None:
    version = str(uuid4())
    for step in STEPS[:-1]:
        call(arn, step, version)
        assert SecretsManager(arn)() == (SECRET,)


def test_late_step_restores_no_old_key(arn: str) -> None:
    version = rotate(arn)
    keys = SecretsManager(arn)()
    call(arn, "finishSecret", version)
    assert SecretsManager(arn)() == keys


def test_only_configured_secret_is_rotated(arn: str) -> None:
    other = boto3.client("secretsmanager").create_secret(Name="other", SecretString="x")["ARN"]
    with pytest.raises(RotationError, match="another secret"):
        call(other, "createSecret", str(uuid4()))
    with pytest.raises(RotationError, match="not a step"):
        call(arn, "dropSecret", str(uuid4()))


def test_short_key_never_becomes_current(arn: str) -> None:
    version = str(uuid4())
    boto3.client("secretsmanager").put_secret_value(
        SecretId=arn,
        ClientRequestToken=version,
        SecretString="short",
        VersionStages=["AWSPENDING"],
    )
    call(arn, "createSecret", version)
    with pytest.raises(RotationError, match="32"):
        call(arn, "testSecret", version)


def test_log_contains_no_key(arn: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rotate(arn)
    assert "finishSecret is done" in caplog.text
    for key in SecretsManager(arn)():
        assert key not in caplog.text
