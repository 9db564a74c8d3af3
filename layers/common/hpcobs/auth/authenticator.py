"""Authentication of a request: the principal that its Authorization header names."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from hpcobs.auth import oidc, site_tokens
from hpcobs.auth.decoding import NOT_VALID, header_of
from hpcobs.auth.signing_keys import key_ring
from hpcobs.domain.errors import UnauthorizedError

if TYPE_CHECKING:
    from hpcobs.auth.oidc import IdentityProvider
    from hpcobs.auth.principal import Principal
    from hpcobs.auth.signing_keys import KeyRing
    from hpcobs.settings import Settings

MISSING = "a token is needed: Authorization: Bearer TOKEN"


class Authenticator:
    """Checks the site's own tokens, and those of its identity provider where it has one.

    A token's algorithm decides who must have signed it, and so which keys it is checked with.
    """

    def __init__(
        self,
        keys: KeyRing,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        provider: IdentityProvider | None = None,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._provider = provider

    def authenticate(self, authorization: str | None) -> Principal:
        """Return the principal of a request's Authorization header.

        Raise UnauthorizedError if it has no valid token, UnavailableError if the keys to check the
        token with cannot be read now.
        """
        token = token_in(authorization)
        header = header_of(token)
        # A public key is never used as an HMAC secret: the algorithm chooses between two kinds of
        # keys, and each kind is checked by its own algorithms only.
        if header.get("alg") == site_tokens.ALGORITHM:
            keys = self._keys.candidates(header.get("kid"))
            return site_tokens.verify(token, *keys, issuer=self._issuer, audience=self._audience)
        if self._provider is not None and header.get("alg") in oidc.ALGORITHMS:
            return self._provider.principal(token, header)
        raise UnauthorizedError(NOT_VALID)


def authenticator(settings: Settings) -> Authenticator:
    """Make the authenticator of the settings. Raise SettingsError if they cannot be used."""
    keys = key_ring(settings)
    options = oidc.options(settings)
    if options is None:
        return Authenticator(keys, issuer=settings.auth_issuer, audience=settings.auth_audience)
    return Authenticator(keys, provider=oidc.identity_provider(options))


def token_in(authorization: str | None) -> str:
    """Return the token of an Authorization header. Raise UnauthorizedError if it has none.

    The header is ``Bearer`` (RFC 6750), or ``Basic`` with the token as the password: Prometheus and
    many other clients offer nothing else.
    """
    scheme, _, value = (authorization or "").strip().partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return value
    if scheme.lower() == "basic":
        return _password(value)
    raise UnauthorizedError(MISSING)


def _password(encoded: str) -> str:
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise UnauthorizedError("the Basic credentials are not valid") from None
    password = text.partition(":")[2]
    if not password:
        raise UnauthorizedError("the Basic credentials have no password; the token belongs there")
    return password
