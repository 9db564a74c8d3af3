"""The tokens of ``hpcobs token``, and the key that signs them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from hpcobs_cli.errors import CommandError
from hpcobs_local.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from hpcobs.settings import Settings


class Signer(Protocol):
    """A function that issues tokens, which differ in node and subject."""

    def __call__(self, *, node: str | None, subject: str | None) -> str:
        """Issue a token. The default subject is its node, its user, or this command."""
        ...


def signer(
    data_dir: Path, *, scopes: Sequence[str], limits: Mapping[str, str | None], lasting: timedelta
) -> Signer:
    """Return a signer with the configured key. Raise CommandError if there is none.

    ``limits`` are the claims ``user`` and ``cluster`` of all its tokens.
    """
    from hpcobs.auth.site_tokens import issue

    settings = _settings(data_dir)
    key = _key(settings)
    # With an identity provider, AUTH_ISSUER and AUTH_AUDIENCE describe the provider's tokens.
    own = settings.auth_jwks_url is None

    def sign(*, node: str | None, subject: str | None) -> str:
        return issue(
            key,
            subject=subject or (f"node-{node}" if node else limits["user"] or "cli"),
            scopes=scopes,
            expires_at=datetime.now(UTC) + lasting,
            node=node,
            **limits,
            issuer=settings.auth_issuer if own else None,
            audience=settings.auth_audience if own else None,
        )

    return sign


def _settings(data_dir: Path) -> Settings:
    from hpcobs.settings import SettingsError, read_settings

    environ = dict(os.environ)
    if not environ.get("AUTH_SECRET") and not environ.get("AUTH_SECRET_ARN"):
        environ["AUTH_SECRET"] = _local_secret(data_dir)
    try:
        return read_settings(environ)
    except SettingsError as error:
        raise CommandError(str(error)) from None


def _key(settings: Settings) -> str:
    """Return the current signing key, from the settings or from Secrets Manager."""
    from hpcobs.auth.signing_keys import SecretsManager
    from hpcobs.domain.errors import UnavailableError

    if settings.auth_secret is not None or settings.auth_secret_arn is None:
        return settings.auth_secret or ""
    try:
        return SecretsManager(settings.auth_secret_arn)()[0]
    except UnavailableError as error:
        reason = f": {error.__cause__}" if error.__cause__ else ""
        raise CommandError(f"AUTH_SECRET_ARN: {error}{reason}") from None


def _local_secret(data_dir: Path) -> str:
    folder = Folder(data_dir)
    secret = folder.secret()
    if secret is None:
        raise CommandError(
            "no secret to sign with: neither AUTH_SECRET nor AUTH_SECRET_ARN is set, and "
            f"{folder.secret_file} cannot be read"
        )
    return secret
