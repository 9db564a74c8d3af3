"""The keys that sign the site's own tokens, from the environment or from AWS Secrets Manager.

Two keys are valid at a time, so that a key can be replaced. A token names its key by an id (RFC
7515, ``kid``). The id is derived from the key, so a program that has the key can issue tokens, and
needs nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from hpcobs.auth.cached import Cached
from hpcobs.domain.errors import UnavailableError
from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from hpcobs.settings import Settings

Keys = tuple[str, ...]
"""The current key and, if there is one, the previous key."""

CURRENT = "AWSCURRENT"
PREVIOUS = "AWSPREVIOUS"
# RFC 7518, 3.2: a key for HS256 has 256 bits or more.
MIN_CHARACTERS = 32
# Twelve characters in base64: they tell keys apart, and every token has them.
ID_BYTES = 9


def key_id(key: str) -> str:
    """Return a key's id in the tokens that it signs. The id reveals nothing of the key."""
    digest = hmac.digest(key.encode(), b"hpcobs key id", hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:ID_BYTES]).decode("ascii")


class KeyRing:
    """The valid keys of a source."""

    def __init__(self, source: Cached[Keys]) -> None:
        self._source = source

    def candidates(self, kid: str | None) -> Keys:
        """Return the keys that may have signed a token: the one with that id, or else all of them.

        With an unknown id, read the source again, because the key may be new.
        """
        keys = self._source()
        named = _named(keys, kid)
        if kid is not None and not named:
            keys = self._source.sooner()
            named = _named(keys, kid)
        return named or keys


def _named(keys: Keys, kid: str | None) -> Keys:
    return tuple(key for key in keys if key_id(key) == kid)


def key_ring(settings: Settings) -> KeyRing:
    """Return the keys that the settings name. Raise SettingsError if they name none."""
    if settings.auth_secret is not None:
        given = (settings.auth_secret, settings.auth_secret_previous)
        fixed = tuple(key for key in given if key is not None)
        return KeyRing(Cached(lambda: fixed, what="the signing key"))
    if settings.auth_secret_arn is not None:
        source = SecretsManager(settings.auth_secret_arn)
        return KeyRing(Cached(source, what="the signing key"))
    raise SettingsError("AUTH_SECRET: required, unless AUTH_SECRET_ARN is set")


def client(arn: str) -> SecretsManagerClient:
    """Make a client in the secret's own region, with time limits that fit into a request."""
    # boto3 costs a cold start 250 ms, and a site with AUTH_SECRET does not need it.
    import boto3
    from botocore.config import Config

    limits = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    region = arn.split(":")[3] if arn.startswith("arn:") else None
    return boto3.client("secretsmanager", region_name=region, config=limits)


class SecretsManager:
    """The current and the previous version of a secret in AWS Secrets Manager."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def __call__(self) -> Keys:
        """Read the keys. Raise UnavailableError if that fails, or if the key is too short."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            manager = client(self._arn)
            current = _version(manager, self._arn, CURRENT)
            previous = _version(manager, self._arn, PREVIOUS)
        except (BotoCoreError, ClientError, KeyError) as error:
            raise UnavailableError("the signing key cannot be read") from error
        if current is None or len(current) < MIN_CHARACTERS:
            raise UnavailableError(f"the signing key has less than {MIN_CHARACTERS} characters")
        # A short previous version signs nothing, and the current key is enough to work with.
        if previous is None or len(previous) < MIN_CHARACTERS:
            return (current,)
        return (current, previous)


def _version(manager: SecretsManagerClient, arn: str, stage: str) -> str | None:
    """Return the secret's version of that stage, or None if there is no previous version."""
    try:
        return manager.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
    except manager.exceptions.ResourceNotFoundException:
        if stage == CURRENT:
            raise
        return None
