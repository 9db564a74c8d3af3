"""The token in an Authorization header: ``Bearer`` (RFC 6750), or ``Basic`` with it as password."""

from __future__ import annotations

import base64
import binascii

from hpcobs.domain.errors import UnauthorizedError

MISSING = "a token is needed: Authorization: Bearer TOKEN"


def token_in(authorization: str | None) -> str:
    """The token; UnauthorizedError if there is none, or the header is of another kind."""
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
