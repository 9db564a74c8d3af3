"""The site's signing secret: from the environment, or from AWS Secrets Manager."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from hpcobs.domain.errors import UnavailableError
from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from hpcobs.settings import Settings

Secret = Callable[[], str]
"""Tells the secret as it is now; UnavailableError if it cannot."""

logger = logging.getLogger(__name__)

CACHED_SECONDS = 300.0
MIN_CHARACTERS = 32


def secret(settings: Settings) -> Secret:
    """Where the settings say that the secret is; SettingsError if they do not."""
    fixed = settings.auth_secret
    if fixed is not None:
        return lambda: fixed
    if settings.auth_secret_arn is not None:
        return CachedSecret(SecretsManager(settings.auth_secret_arn))
    raise SettingsError("AUTH_SECRET: required, unless AUTH_SECRET_ARN is set")


class SecretsManager:
    """The current version of a secret in AWS Secrets Manager."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def __call__(self) -> str:
        """Ask for the secret; UnavailableError if it cannot be had, or is too short to be safe."""
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        limits = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
        try:
            client = boto3.client("secretsmanager", config=limits)
            text = client.get_secret_value(SecretId=self._arn)["SecretString"]
        except (BotoCoreError, ClientError, KeyError) as error:
            raise UnavailableError("the signing secret cannot be read") from error
        if len(text) < MIN_CHARACTERS:
            raise UnavailableError(f"the signing secret has less than {MIN_CHARACTERS} characters")
        return str(text)


class CachedSecret:
    """Another secret, asked for again every few minutes so that a rotation is picked up.

    While it cannot be had, the one that is known serves on.
    """

    def __init__(
        self,
        source: Secret,
        *,
        seconds: float = CACHED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._seconds = seconds
        self._clock = clock
        self._text: str | None = None
        self._fresh_until = 0.0

    def __call__(self) -> str:
        """The secret, at most ``seconds`` old while its source answers."""
        if self._text is None:
            return self._asked_for()
        if self._clock() < self._fresh_until:
            return self._text
        try:
            return self._asked_for()
        except UnavailableError:
            logger.warning("the signing secret cannot be renewed; the known one serves on")
            self._fresh_until = self._clock() + self._seconds
            return self._text

    def _asked_for(self) -> str:
        self._text = self._source()
        self._fresh_until = self._clock() + self._seconds
        return self._text
