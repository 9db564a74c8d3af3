"""The key that signs the site's tokens, and its rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Stack
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from hpcobs.auth.site_tokens import MAX_DAYS

if TYPE_CHECKING:
    from aws_cdk import aws_iam as iam

ROTATION_DAYS = MAX_DAYS
"""A key is valid for two rotations, and a token for at most one, so no rotation ends a token."""


class SigningSecret(Construct):
    """A random key that only the authorizer and the rotation may read."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.secret = secretsmanager.Secret(
            self,
            "Key",
            description="Signs and checks the tokens of this hpcobs site",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
        )

    def rotate_by(self, function: lambda_.Function) -> None:
        """Let ``function`` create a new key every ROTATION_DAYS, but not on deployment."""
        allowed = lambda_.CfnPermission(
            self,
            "MayRotate",
            action="lambda:InvokeFunction",
            function_name=function.function_arn,
            principal="secretsmanager.amazonaws.com",
            source_account=Stack.of(self).account,
            source_arn=self.secret.secret_arn,
        )
        schedule = secretsmanager.CfnRotationSchedule(
            self,
            "Rotation",
            secret_id=self.secret.secret_arn,
            rotation_lambda_arn=function.function_arn,
            rotate_immediately_on_update=False,
            rotation_rules=secretsmanager.CfnRotationSchedule.RotationRulesProperty(
                automatically_after_days=ROTATION_DAYS
            ),
        )
        # Secrets Manager rejects a schedule whose function it may not call.
        schedule.node.add_dependency(allowed)
        schedule.node.add_dependency(_role_of(function))


def _role_of(function: lambda_.Function) -> iam.IRole:
    """Return the function's role, which must be complete before the schedule calls it."""
    assert function.role is not None
    return function.role
