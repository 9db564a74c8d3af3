"""The key that signs the site's tokens."""

from __future__ import annotations

from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.findings import accept


class SigningSecret(Construct):
    """A random key that only the authorizer may read."""

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
        accept(
            self.secret,
            "SMG4",
            because="one key is valid at a time, so a rotation by itself would cut every node off; "
            "docs/deploy.md tells how it is done by hand",
        )
