"""The site's own tokens, signed with its key by HMAC-SHA-256.

Claims: ``sub``, ``scope`` (space-separated, RFC 8693), ``exp``; ``node`` and ``user`` limit a token
to one node's messages or one user's jobs, ``cluster`` to sending and changing data of one cluster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from hpcobs.auth.decoding import NOT_VALID, claims_in, header_of, text_claim
from hpcobs.auth.principal import Principal
from hpcobs.auth.signing_keys import key_id
from hpcobs.domain.errors import UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

ALGORITHM = "HS256"

MAX_DAYS = 400
"""The longest lifetime of a token.

A key signs for so long, and stays valid for as long after its rotation. So a rotation rejects no
token before it expires (ADR 0010).
"""


def issue(
    key: str,
    *,
    subject: str,
    scopes: Iterable[str],
    expires_at: datetime,
    node: str | None = None,
    user: str | None = None,
    cluster: str | None = None,
    issuer: str | None = None,
    audience: str | None = None,
) -> str:
    """Return a token for ``subject``, valid until ``expires_at``."""
    claims = {
        "sub": subject,
        "scope": " ".join(scopes),
        "exp": expires_at,
        "node": node,
        "user": user,
        "cluster": cluster,
        "iss": issuer,
        "aud": audience,
    }
    given = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(given, key, algorithm=ALGORITHM, headers={"kid": key_id(key)})


def verify(
    token: str, *keys: str, issuer: str | None = None, audience: str | None = None
) -> Principal:
    """Return the principal of a token that one of ``keys`` signed. Raise UnauthorizedError if none.

    The token's issuer and audience are checked where they are given.
    """
    if header_of(token).get("alg") != ALGORITHM:
        raise UnauthorizedError(NOT_VALID)
    return _principal(claims_in(token, keys, algorithm=ALGORITHM, issuer=issuer, audience=audience))


def _principal(claims: dict[str, Any]) -> Principal:
    subject = text_claim(claims, "sub")
    if subject is None:
        raise UnauthorizedError(NOT_VALID)
    scope = claims.get("scope", "")
    if not isinstance(scope, str):
        raise UnauthorizedError("the token's scope is not a text")
    return Principal(
        subject=subject,
        scopes=frozenset(scope.split()),
        node=text_claim(claims, "node"),
        user=text_claim(claims, "user"),
        cluster=text_claim(claims, "cluster"),
        expires_at=int(claims["exp"]),
    )
