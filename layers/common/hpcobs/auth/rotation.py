"""A new signing key, in the four steps in which Secrets Manager asks for one.

See "Lambda rotation functions" in the Secrets Manager user guide. Each step may come twice. The key
before this one stays valid (``AWSPREVIOUS``); the one before that is forgotten.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs.auth import tokens
from hpcobs.auth.keys import MIN_CHARACTERS
from hpcobs.auth.secrets import CURRENT, client

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_secretsmanager import SecretsManagerClient

logger = logging.getLogger(__name__)

PENDING = "AWSPENDING"
KEY_BYTES = 48


class RotationError(Exception):
    """The rotation cannot go on; the key is as it was."""


class Rotation:
    """Changes the one secret whose ARN it is given, and no other."""

    def __init__(self, arn: str) -> None:
        self._arn = arn

    def step(self, name: str, *, secret: str, version: str) -> None:
        """Do one step for a version of a secret; RotationError if it cannot be done."""
        if secret != self._arn:
            raise RotationError("asked to rotate another secret")
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
        """The authorizer reads the key from the secret: there is no other place to set it."""

    def _test(self, manager: SecretsManagerClient, version: str) -> None:
        key = manager.get_secret_value(SecretId=self._arn, VersionId=version, VersionStage=PENDING)[
            "SecretString"
        ]
        if len(key) < MIN_CHARACTERS:
            raise RotationError(f"the new key has less than {MIN_CHARACTERS} characters")
        end = datetime.now(UTC) + timedelta(minutes=1)
        token = tokens.issue(key, subject="rotation", scopes=(), expires_at=end)
        tokens.verify(token, key)

    def _finish(self, manager: SecretsManagerClient, version: str) -> None:
        stages = manager.describe_secret(SecretId=self._arn)["VersionIdsToStages"]
        current = next((known for known, names in stages.items() if CURRENT in names), None)
        if current == version:
            return
        moved_from = {} if current is None else {"RemoveFromVersionId": current}
        manager.update_secret_version_stage(
            SecretId=self._arn, VersionStage=CURRENT, MoveToVersionId=version, **moved_from
        )
