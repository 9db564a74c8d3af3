"""The key that ``hpcobs token`` signs with, and the tokens that it signs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from hpcobs_cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from hpcobs.settings import Settings


class Signer(Protocol):
    """Issues tokens that differ in their node and their subject."""

    def __call__(self, *, node: str | None, subject: str | None) -> str:
        """A token; without a subject it is named after its node, its user, or this command."""
        ...


def signer(
    data_dir: Path, *, scopes: Sequence[str], user: str | None, lasting: timedelta
) -> Signer:
    """Signs with the key that is to be had; CommandError if there is none."""
    from hpcobs.auth.site_tokens import issue

    settings = _settings(data_dir)
    key = _key(settings)
    # Beside an identity provider, issuer and audience are the provider's.
    own = settings.auth_jwks_url is None

    def sign(*, node: str | None, subject: str | None) -> str:
        return issue(
            key,
            subject=subject or (f"node-{node}" if node else user or "cli"),
            scopes=scopes,
            expires_at=datetime.now(UTC) + lasting,
            node=node,
            user=user,
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
    """The key that signs now; a service that is asked for it may say no."""
    from hpcobs.auth.signing_keys import SecretsManager
    from hpcobs.domain.errors import UnavailableError

    if settings.auth_secret is not None or settings.auth_secret_arn is None:
        return settings.auth_secret or ""
    try:
        return SecretsManager(settings.auth_secret_arn)()[0]
    except UnavailableError as error:
        why = f": {error.__cause__}" if error.__cause__ else ""
        raise CommandError(f"AUTH_SECRET_ARN: {error}{why}") from None


def _local_secret(data_dir: Path) -> str:
    try:
        return (data_dir / "secret").read_text().strip()
    except OSError:
        raise CommandError(
            "no secret to sign with: neither AUTH_SECRET nor AUTH_SECRET_ARN is set, and "
            f"{data_dir / 'secret'} cannot be read"
        ) from None
