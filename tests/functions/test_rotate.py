"""The rotation of the signing key, step by step as Secrets Manager asks for it."""

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
    """The site's secret, as a deployment makes it."""
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
    """One rotation; ``times`` each step comes."""
    version = str(uuid4())
    for step in STEPS:
        for _ in range(times):
            call(arn, step, version)
    return version


def token_of(arn: str) -> str:
    end = datetime.now(UTC) + timedelta(hours=1)
    return site_tokens.issue(SecretsManager(arn)()[0], subject="n1", scopes=(), expires_at=end)


@pytest.mark.parametrize("times", [1, 2])
def test_a_rotation_makes_a_new_key_and_keeps_the_old_one_valid(arn: str, times: int) -> None:
    rotate(arn, times=times)
    current, previous = SecretsManager(arn)()
    assert previous == SECRET
    assert current != SECRET
    assert len(current) >= MIN_CHARACTERS


def test_a_token_is_believed_through_one_rotation_and_not_through_two(arn: str) -> None:
    old = token_of(arn)
    rotate(arn)
    assert site_tokens.verify(old, *SecretsManager(arn)()).subject == "n1"
    newer = token_of(arn)
    rotate(arn)
    assert site_tokens.verify(newer, *SecretsManager(arn)()).subject == "n1"
    with pytest.raises(UnauthorizedError):
        site_tokens.verify(old, *SecretsManager(arn)())


def test_until_the_last_step_the_key_is_as_it_was(arn: str) -> None:
    version = str(uuid4())
    for step in STEPS[:-1]:
        call(arn, step, version)
        assert SecretsManager(arn)() == (SECRET,)


def test_a_step_that_comes_late_does_not_bring_an_old_key_back(arn: str) -> None:
    version = rotate(arn)
    keys = SecretsManager(arn)()
    call(arn, "finishSecret", version)
    assert SecretsManager(arn)() == keys


def test_only_the_sites_own_secret_is_rotated(arn: str) -> None:
    other = boto3.client("secretsmanager").create_secret(Name="other", SecretString="x")["ARN"]
    with pytest.raises(RotationError, match="another secret"):
        call(other, "createSecret", str(uuid4()))
    with pytest.raises(RotationError, match="not a step"):
        call(arn, "dropSecret", str(uuid4()))


def test_a_key_that_is_too_short_never_becomes_the_current_one(arn: str) -> None:
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


def test_no_key_stands_in_the_log(arn: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    rotate(arn)
    assert "finishSecret is done" in caplog.text
    for key in SecretsManager(arn)():
        assert key not in caplog.text
