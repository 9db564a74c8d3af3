"""The signing keys: from the environment, or from Secrets Manager, rotations included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from hpcobs.auth import site_tokens
from hpcobs.auth.cached import Cached
from hpcobs.auth.signing_keys import KeyRing, Keys, SecretsManager, key_id, key_ring
from hpcobs.domain.errors import UnauthorizedError, UnavailableError
from hpcobs.settings import Settings, SettingsError
from tests.unit.auth.clocks import Source, Time

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "a secret of the site, long enough for it"
NEXT = "the next secret of the site, long enough"
OTHER = "a secret of another site, long enough too"


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


def stored(*texts: str) -> str:
    """Create a secret with these values, one after the other, and return its ARN."""
    client = boto3.client("secretsmanager")
    arn = client.create_secret(Name="hpcobs/auth", SecretString=texts[0])["ARN"]
    for text in texts[1:]:
        client.put_secret_value(SecretId=arn, SecretString=text)
    return str(arn)


def test_environment_gives_current_and_previous_key() -> None:
    assert key_ring(Settings(auth_secret=KEY)).candidates(None) == (KEY,)
    both = key_ring(Settings(auth_secret=NEXT, auth_secret_previous=KEY))
    assert both.candidates(None) == (NEXT, KEY)


def test_missing_key_names_the_variable() -> None:
    with pytest.raises(SettingsError, match="AUTH_SECRET"):
        key_ring(Settings())


@pytest.mark.usefixtures("aws")
def test_key_comes_from_secrets_manager() -> None:
    ring = key_ring(Settings(auth_secret_arn=stored(KEY)))
    assert ring.candidates(None) == (KEY,)


@pytest.mark.usefixtures("aws")
def test_previous_key_is_valid_older_are_not() -> None:
    assert SecretsManager(stored(OTHER, KEY, NEXT))() == (NEXT, KEY)


@pytest.mark.usefixtures("aws")
def test_missing_secret_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        SecretsManager("arn:aws:secretsmanager:eu-central-1:123456789012:secret:none")()


@pytest.mark.usefixtures("aws")
def test_short_key_is_rejected() -> None:
    with pytest.raises(UnavailableError, match="32"):
        SecretsManager(stored("short"))()
    assert SecretsManager(stored_again("short", KEY))() == (KEY,)


def stored_again(*texts: str) -> str:
    client = boto3.client("secretsmanager")
    for text in texts:
        client.put_secret_value(SecretId="hpcobs/auth", SecretString=text)
    return "hpcobs/auth"


def ring_of(source: Source[Keys], time: Time) -> KeyRing:
    return KeyRing(Cached(source, what="the key", clock=time))


def test_kid_selects_the_key() -> None:
    ring = ring_of(Source((NEXT, KEY)), Time())
    assert ring.candidates(key_id(KEY)) == (KEY,)
    assert ring.candidates(key_id(NEXT)) == (NEXT,)
    assert ring.candidates(None) == (NEXT, KEY)


def test_unknown_kid_reads_the_source_early() -> None:
    source: Source[Keys] = Source((KEY,))
    time = Time()
    ring = ring_of(source, time)
    ring.candidates(None)
    source.value = (NEXT, KEY)
    time.now = 61
    assert ring.candidates(key_id(NEXT)) == (NEXT,)


def test_unknown_kids_read_source_once_a_minute() -> None:
    source: Source[Keys] = Source((KEY,))
    ring = ring_of(source, Time())
    for number in range(1000):
        assert ring.candidates(f"key {number}") == (KEY,)
    assert source.asked == 1


def test_both_keys_verify_during_change() -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    ring = key_ring(Settings(auth_secret=NEXT, auth_secret_previous=KEY))
    for key, believed in ((KEY, True), (NEXT, True), (OTHER, False)):
        token = site_tokens.issue(key, subject="n1", scopes=["admin"], expires_at=end)
        keys = ring.candidates(key_id(key))
        if believed:
            assert site_tokens.verify(token, *keys).subject == "n1"
        else:
            with pytest.raises(UnauthorizedError):
                site_tokens.verify(token, *keys)


def test_key_id_is_stable_and_opaque() -> None:
    assert key_id(KEY) == key_id(KEY) != key_id(NEXT)
    assert len(key_id(KEY)) == 12
    assert key_id(KEY) not in KEY
