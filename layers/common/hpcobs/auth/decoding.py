"""The claims of a JSON Web Token (RFC 7519), if signature, times, issuer and audience are right.

Every rejection is an UnauthorizedError with a short fixed message, which repeats nothing of the
token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from hpcobs.domain.errors import UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jwt.algorithms import AllowedPublicKeys

# Clocks of nodes, identity providers and Lambda differ by seconds, not by minutes.
LEEWAY_SECONDS = 10
# API Gateway accepts 10,240 bytes of request line and headers in all.
MAX_TOKEN_CHARACTERS = 8192
MAX_CLAIM_CHARACTERS = 255
NOT_VALID = "the token is not valid"

# Hostile headers and numbers raise more than PyJWT's own errors: deep nesting, an endless "exp".
_FAULTS = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


def header_of(token: str) -> dict[str, Any]:
    """Return the token's header. It is not verified yet: use it only to choose a key.

    Raise UnauthorizedError if the token has no valid header.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise UnauthorizedError(NOT_VALID)
    try:
        header = jwt.get_unverified_header(token)
    except _FAULTS:
        raise UnauthorizedError(NOT_VALID) from None
    # RFC 7515, 4.1.11: a critical extension that is not supported must lead to a rejection.
    if "crit" in header:
        raise UnauthorizedError(NOT_VALID)
    return header


def claims_in(
    token: str,
    keys: Iterable[AllowedPublicKeys | str],
    *,
    algorithm: str,
    issuer: str | None,
    audience: str | None,
) -> dict[str, Any]:
    """Return the claims of a token that one of ``keys`` signed by ``algorithm`` and by no other.

    Raise UnauthorizedError if there is no such key, or if a claim is missing or wrong.
    """
    required = ["exp", "sub", *(["iss"] if issuer else []), *(["aud"] if audience else [])]
    for key in keys:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=issuer,
                audience=audience,
                leeway=LEEWAY_SECONDS,
                options={"require": required, "verify_aud": audience is not None},
            )
        except jwt.InvalidSignatureError:
            continue
        except jwt.ExpiredSignatureError:
            raise UnauthorizedError("the token has expired") from None
        except jwt.ImmatureSignatureError:
            raise UnauthorizedError("the token is not valid yet") from None
        except _FAULTS:
            break
    raise UnauthorizedError(NOT_VALID)


def text_claim(claims: dict[str, Any], name: str) -> str | None:
    """Return a claim that is a short printable text, or None if the token has no such claim."""
    # A claim of another type is an error, not None: "node", "user" and "cluster" limit a token, and
    # a limit that cannot be read must never be lifted.
    if name not in claims:
        return None
    return short_text(claims[name], name)


def short_text(value: object, name: str) -> str:
    """Return ``value`` if it is a short printable text. Raise UnauthorizedError if not."""
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_CLAIM_CHARACTERS:
        return value
    raise UnauthorizedError(f"the token's claim {name} is not a short printable text")
