"""From an Authorization header to the principal that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.auth.credentials import token_in
from hpcobs.auth.tokens import verify

if TYPE_CHECKING:
    from hpcobs.auth.principal import Principal
    from hpcobs.auth.secrets import Secret


class Authenticator:
    """Checks tokens against the site's secret and, where set, its issuer and audience."""

    def __init__(
        self, secret: Secret, *, issuer: str | None = None, audience: str | None = None
    ) -> None:
        self._secret = secret
        self._issuer = issuer
        self._audience = audience

    def authenticate(self, authorization: str | None) -> Principal:
        """The principal of a request's Authorization header.

        UnauthorizedError if there is no valid token in it, UnavailableError if that cannot be told.
        """
        token = token_in(authorization)
        return verify(token, self._secret(), issuer=self._issuer, audience=self._audience)
