"""Where the signing keys are: in the environment, or in AWS Secrets Manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.auth.cached import Cached
from hpcobs.auth.keys import MIN_CHARACTERS, KeyRing, Keys
from hpcobs.domain.errors import UnavailableError
from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from hpcobs.settings import Settings

CURRENT = "AWSCURRENT"
PREVIOUS = "AWSPREVIOUS"


def key_ring(settings: Settings) -> KeyRing:
    """The keys that the settings name; SettingsError if they name none."""
    if settings.auth_secret is not None:
        given = (settings.auth_secret, settings.auth_secret_previous)
        fixed = tuple(key for key in given if key is not None)
        return KeyRing(Cached(lambda: fixed, what="the signing key"))
    if settings.auth_secret_arn is not None:
        source = SecretsManager(settings.auth_secret_arn)
        return KeyRing(Cached(source, what="the signing key"))
    raise SettingsError("AUTH_SECRET: required, unless AUTH_SECRET_ARN is set")


def client(arn: str) -> SecretsManagerClient:
    """Secrets Manager in the secret's own region, with time limits that fit into a request."""
    import boto3
    from botocore.config import Config

    limits = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    region = arn.split(":")[3] if arn.startswith("arn:") else None
    return boto3.client("secretsmanager", region_name=region, config=limits)


class SecretsManager:
    """The current version of a secret in AWS Secrets Manager, and the one before it."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def __call__(self) -> Keys:
        """Ask for the keys; UnavailableError if they cannot be had, or are too short to be safe."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            manager = client(self._arn)
            current = _version(manager, self._arn, CURRENT)
            previous = _version(manager, self._arn, PREVIOUS)
        except (BotoCoreError, ClientError, KeyError) as error:
            raise UnavailableError("the signing key cannot be read") from error
        if current is None or len(current) < MIN_CHARACTERS:
            raise UnavailableError(f"the signing key has less than {MIN_CHARACTERS} characters")
        if previous is None or len(previous) < MIN_CHARACTERS:
            return (current,)
        return (current, previous)


def _version(manager: SecretsManagerClient, arn: str, stage: str) -> str | None:
    """The secret's version of that stage; None if there is no such version."""
    try:
        return manager.get_secret_value(SecretId=arn, VersionStage=stage)["SecretString"]
    except manager.exceptions.ResourceNotFoundException:
        if stage == CURRENT:
            raise
        return None
