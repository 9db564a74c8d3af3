"""The rotation of the signing key, in the four steps that Secrets Manager calls.

See "Lambda rotation functions" in the Secrets Manager user guide. Each step may be called twice.
The previous key stays valid (``AWSPREVIOUS``), and the one before it is dropped.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs.auth import site_tokens
from hpcobs.auth.signing_keys import CURRENT, MIN_CHARACTERS, client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_secretsmanager import SecretsManagerClient

logger = logging.getLogger(__name__)

PENDING = "AWSPENDING"
# 64 characters in base64, as the first key of a stack has.
KEY_BYTES = 48


class RotationError(Exception):
    """The rotation cannot continue. The current key is unchanged."""


class Rotation:
    """Rotates the key in the secret ``arn``, and in no other secret."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def step(self, name: str, *, secret: str, version: str) -> None:
        """Do one step for a version of a secret. Raise RotationError if it cannot be done."""
        # The event may name any secret of the account.
        if secret != self._arn:
            raise RotationError("the event names another secret than AUTH_SECRET_ARN")
        steps: Mapping[str, Callable[[SecretsManagerClient, str], None]] = {
            "createSecret": self._create,
            "setSecret": self._nothing_to_set,
            "testSecret": self._test,
            "finishSecret": self._finish,
        }
        if name not in steps:
            raise RotationError(f"{name!r} is not a step of a rotation")
        steps[name](client(self._arn), version)
        logger.info("%s is done for version %s", name, version)

    def _create(self, manager: SecretsManagerClient, version: str) -> None:
        # A repeated step must find the key that the first one made, or "finish" would lose it.
        try:
            manager.get_secret_value(SecretId=self._arn, VersionId=version, VersionStage=PENDING)
        except manager.exceptions.ResourceNotFoundException:
            manager.put_secret_value(
                SecretId=self._arn,
                ClientRequestToken=version,
                SecretString=secrets.token_urlsafe(KEY_BYTES),
                VersionStages=[PENDING],
            )

    def _nothing_to_set(self, manager: SecretsManagerClient, version: str) -> None:
        """Do nothing. The authorizer reads the key from the secret, there is no other copy."""

    def _test(self, manager: SecretsManagerClient, version: str) -> None:
        key = manager.get_secret_value(SecretId=self._arn, VersionId=version, VersionStage=PENDING)[
            "SecretString"
        ]
        if len(key) < MIN_CHARACTERS:
            raise RotationError(f"the new key has less than {MIN_CHARACTERS} characters")
        end = datetime.now(UTC) + timedelta(minutes=1)
        token = site_tokens.issue(key, subject="rotation", scopes=(), expires_at=end)
        site_tokens.verify(token, key)

    def _finish(self, manager: SecretsManagerClient, version: str) -> None:
        stages = manager.describe_secret(SecretId=self._arn)["VersionIdsToStages"]
        current = next((known for known, names in stages.items() if CURRENT in names), None)
        # A late repetition would make the key before the last one current again.
        if current == version:
            return
        moved_from = {} if current is None else {"RemoveFromVersionId": current}
        manager.update_secret_version_stage(
            SecretId=self._arn, VersionStage=CURRENT, MoveToVersionId=version, **moved_from
        )
