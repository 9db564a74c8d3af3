"""The signing secret: from the environment, or from Secrets Manager, rotations included."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from hpcobs.auth.secrets import CachedSecret, SecretsManager, secret
from hpcobs.domain.errors import UnavailableError
from hpcobs.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "a secret of the site, long enough for it"
ROTATED = "the next secret of the site, long enough"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield


def stored(text: str) -> str:
    client = boto3.client("secretsmanager")
    return str(client.create_secret(Name="hpcobs/auth", SecretString=text)["ARN"])


class Source:
    """A secret that can be changed and taken away."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.there = True
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if not self.there:
            raise UnavailableError("gone")
        return self.text


class Time:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_environments_secret_is_taken() -> None:
    assert secret(Settings(auth_secret=SECRET))() == SECRET


def test_without_a_secret_the_variable_is_named() -> None:
    with pytest.raises(SettingsError, match="AUTH_SECRET"):
        secret(Settings())


@pytest.mark.usefixtures("aws")
def test_the_secret_comes_from_secrets_manager() -> None:
    assert secret(Settings(auth_secret_arn=stored(SECRET)))() == SECRET


@pytest.mark.usefixtures("aws")
def test_a_secret_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        SecretsManager("arn:aws:secretsmanager:eu-central-1:123456789012:secret:none")()


@pytest.mark.usefixtures("aws")
def test_a_short_secret_signs_nothing() -> None:
    with pytest.raises(UnavailableError, match="32"):
        SecretsManager(stored("short"))()


def test_a_rotation_is_picked_up_after_some_minutes() -> None:
    source, time = Source(SECRET), Time()
    secret = CachedSecret(source, seconds=300, clock=time)
    assert secret() == SECRET
    source.text = ROTATED
    time.now = 299
    assert secret() == SECRET
    time.now = 301
    assert secret() == ROTATED
    assert source.asked == 2


def test_the_known_secret_serves_on_while_its_source_is_away() -> None:
    source, time = Source(SECRET), Time()
    secret = CachedSecret(source, seconds=300, clock=time)
    secret()
    source.there = False
    time.now = 1000
    assert secret() == SECRET
    assert secret() == SECRET
    assert source.asked == 2


def test_a_secret_that_was_never_had_is_unavailable() -> None:
    source = Source(SECRET)
    source.there = False
    with pytest.raises(UnavailableError):
        CachedSecret(source)()
