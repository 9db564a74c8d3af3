"""From an Authorization header to the principal that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.auth import identity, tokens
from hpcobs.auth.credentials import token_in
from hpcobs.auth.decoding import NOT_VALID, header_of
from hpcobs.auth.secrets import key_ring
from hpcobs.domain.errors import UnauthorizedError

if TYPE_CHECKING:
    from hpcobs.auth.identity import IdentityProvider
    from hpcobs.auth.keys import KeyRing
    from hpcobs.auth.principal import Principal
    from hpcobs.settings import Settings


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
        """The principal of a request's Authorization header.

        UnauthorizedError if there is no valid token in it, UnavailableError if that cannot be told.
        """
        token = token_in(authorization)
        header = header_of(token)
        if header.get("alg") == tokens.ALGORITHM:
            keys = self._keys.candidates(header.get("kid"))
            return tokens.verify(token, *keys, issuer=self._issuer, audience=self._audience)
        if self._provider is not None and header.get("alg") in identity.ALGORITHMS:
            return self._provider.principal(token, header)
        raise UnauthorizedError(NOT_VALID)


def authenticator(settings: Settings) -> Authenticator:
    """As the settings say; SettingsError if they cannot be used."""
    keys = key_ring(settings)
    known = identity.options(settings)
    if known is None:
        return Authenticator(keys, issuer=settings.auth_issuer, audience=settings.auth_audience)
    from hpcobs.auth.cached import Cached
    from hpcobs.auth.jwks import KeySet

    key_set = Cached(KeySet(known.jwks_url), what="the identity provider's keys")
    return Authenticator(keys, provider=identity.IdentityProvider(known, key_set))
