"""What a JSON Web Token (RFC 7519) says, once its signature, times, issuer and audience are right.

Every refusal is an UnauthorizedError in a few safe words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt

from hpcobs.domain.errors import UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jwt.algorithms import AllowedPublicKeys

LEEWAY_SECONDS = 10
MAX_TOKEN_CHARACTERS = 8192
MAX_CLAIM_CHARACTERS = 255
NOT_VALID = "the token is not valid"

# Hostile headers and numbers reach beyond PyJWT's own errors: deep nesting, an endless "exp".
_FAULTS = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)


def header_of(token: str) -> dict[str, Any]:
    """The token's header, on which nothing is built but the choice of a key."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise UnauthorizedError(NOT_VALID)
    try:
        header = jwt.get_unverified_header(token)
    except _FAULTS:
        raise UnauthorizedError(NOT_VALID) from None
    # RFC 7515, 4.1.11: who does not know an extension that is critical must refuse.
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
    """The claims of a token that one of ``keys`` signed by ``algorithm`` and by no other."""
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
    """A claim that is a short printable text; a limit that cannot be read is never lifted."""
    if name not in claims:
        return None
    return short_text(claims[name], name)


def short_text(value: object, name: str) -> str:
    """``value`` if it is a short printable text."""
    if isinstance(value, str) and value.isprintable() and 0 < len(value) <= MAX_CLAIM_CHARACTERS:
        return value
    raise UnauthorizedError(f"the token's claim {name} is not a short printable text")
