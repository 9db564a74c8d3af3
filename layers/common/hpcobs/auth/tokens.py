"""JSON Web Tokens (RFC 7519), signed with the site's secret by HMAC-SHA-256.

Claims: ``sub``, ``scope`` (space-separated, RFC 8693), ``exp``; ``node`` and ``user`` limit a token
to one node's messages or one user's jobs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from hpcobs.auth.principal import Principal
from hpcobs.domain.errors import UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

ALGORITHM = "HS256"
LEEWAY_SECONDS = 10
MAX_TOKEN_CHARACTERS = 8192
MAX_CLAIM_CHARACTERS = 255
NOT_VALID = "the token is not valid"


def issue(
    secret: str,
    *,
    subject: str,
    scopes: Iterable[str],
    expires_at: datetime,
    node: str | None = None,
    user: str | None = None,
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """A token for ``subject``, valid until ``expires_at``."""
    claims = {
        "sub": subject,
        "scope": " ".join(scopes),
        "exp": expires_at,
        "node": node,
        "user": user,
        "iss": issuer,
        "aud": audience,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, secret, algorithm=ALGORITHM)


def verify(
    token: str, secret: str, *, issuer: str | None = None, audience: str | None = None
) -> Principal:
    """The principal that a valid token names; UnauthorizedError, in a few safe words, otherwise."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise UnauthorizedError(NOT_VALID)
    return _principal(_claims(token, secret, issuer, audience))


def _claims(token: str, secret: str, issuer: str | None, audience: str | None) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            secret,
            algorithms=[ALGORITHM],
            issuer=issuer,
            audience=audience,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub"], "verify_aud": audience is not None},
        )
    except jwt.ExpiredSignatureError:
        raise UnauthorizedError("the token has expired") from None
    except jwt.ImmatureSignatureError:
        raise UnauthorizedError("the token is not valid yet") from None
    # Hostile headers and numbers reach beyond PyJWT's own errors: deep nesting, an endless "exp".
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        raise UnauthorizedError(NOT_VALID) from None


def _principal(claims: dict[str, Any]) -> Principal:
    subject = _text(claims, "sub")
    if subject is None:
        raise UnauthorizedError(NOT_VALID)
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise UnauthorizedError("the token's scope is not a text")
    return Principal(
        subject=subject,
        scopes=frozenset(scope.split()),
        node=_text(claims, "node"),
        user=_text(claims, "user"),
        expires_at=int(claims["exp"]),
    )


def _text(claims: dict[str, Any], name: str) -> str | None:
    """A claim that is a short printable text; a limit that cannot be read is never lifted."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_CLAIM_CHARACTERS:
        return value
    raise UnauthorizedError(f"the token's claim {name} is not a short printable text")
