"""People who are known by the site's identity provider: its tokens, and whom they make of them.

A person sees their own jobs. Only membership in a group that the site names gives other scopes, and
those hold for the whole site.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hpcobs.auth.decoding import NOT_VALID, claims_in, short_text, text_claim
from hpcobs.auth.principal import Principal
from hpcobs.auth.scopes import unknown_in
from hpcobs.domain.errors import UnauthorizedError
from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hpcobs.auth.cached import Cached
    from hpcobs.auth.jwks import PublicKey
    from hpcobs.settings import Settings

ALGORITHMS = ("RS256", "ES256")
# In the audit trail, what stands in brackets behind a name is the client's own word.
_LOGIN = re.compile(r"[^\s()]+")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityOptions:
    """What the site says of its identity provider, and what it makes of the provider's claims."""

    jwks_url: str
    issuer: str
    audience: str
    user_claim: str
    user_domain: str | None
    user_scopes: frozenset[str]
    groups_claim: str
    scopes_by_group: Mapping[str, frozenset[str]]


def options(settings: Settings) -> IdentityOptions | None:
    """The settings' own; None without AUTH_JWKS_URL, SettingsError if they cannot be used."""
    if settings.auth_jwks_url is None:
        return None
    if not is_trustworthy(settings.auth_jwks_url):
        raise SettingsError("AUTH_JWKS_URL: must begin with https://")
    if settings.auth_issuer is None:
        raise SettingsError("AUTH_ISSUER: required with AUTH_JWKS_URL")
    if settings.auth_audience is None:
        raise SettingsError("AUTH_AUDIENCE: required with AUTH_JWKS_URL")
    return IdentityOptions(
        jwks_url=settings.auth_jwks_url,
        issuer=settings.auth_issuer,
        audience=settings.auth_audience,
        user_claim=settings.auth_user_claim,
        user_domain=settings.auth_user_domain,
        user_scopes=_scopes("AUTH_USER_SCOPES", settings.auth_user_scopes),
        groups_claim=settings.auth_groups_claim,
        scopes_by_group={
            group: _scopes("AUTH_SCOPES_BY_GROUP", text)
            for group, text in settings.auth_scopes_by_group.items()
        },
    )


def is_trustworthy(url: str) -> bool:
    """Whether nobody on the way can change what the URL answers: TLS, or this very machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
    return bool(parts.hostname) and (parts.scheme == "https" or loopback)


def _scopes(variable: str, text: str) -> frozenset[str]:
    scopes = frozenset(text.split())
    problem = unknown_in(scopes)
    if problem:
        raise SettingsError(f"{variable}: {problem}")
    return scopes


class IdentityProvider:
    """Checks the provider's tokens, and names the principals in them."""

    def __init__(self, options: IdentityOptions, keys: Cached[Sequence[PublicKey]]) -> None:
        self._options = options
        self._keys = keys

    def principal(self, token: str, header: Mapping[str, Any]) -> Principal:
        """The principal of a token with that header; UnauthorizedError if it cannot be believed."""
        algorithm, kid = str(header.get("alg")), header.get("kid")
        keys = _fitting(self._keys(), algorithm, kid)
        if not keys:
            keys = _fitting(self._keys.sooner(), algorithm, kid)
        claims = claims_in(
            token,
            [key.key for key in keys],
            algorithm=algorithm,
            issuer=self._options.issuer,
            audience=self._options.audience,
        )
        return principal_of(claims, self._options)


def _fitting(keys: Sequence[PublicKey], algorithm: str, kid: object) -> list[PublicKey]:
    """The key of that name and algorithm; without a name, the algorithm's only one."""
    fitting = [key for key in keys if key.algorithm == algorithm and kid in (None, key.kid)]
    return fitting if kid is not None or len(fitting) == 1 else []


def principal_of(claims: dict[str, Any], options: IdentityOptions) -> Principal:
    """Whom the claims of a valid token name, and what the site lets them do."""
    subject = text_claim(claims, "sub")
    if subject is None:
        raise UnauthorizedError(NOT_VALID)
    expires_at = int(claims["exp"])
    granted = _granted(claims, options)
    user = _user(claims, options)
    if granted:
        return Principal(subject=user or subject, scopes=granted, expires_at=expires_at)
    if user is None:
        raise UnauthorizedError(f"the token has no claim {options.user_claim}, and no known group")
    return Principal(subject=user, scopes=options.user_scopes, user=user, expires_at=expires_at)


def _granted(claims: dict[str, Any], options: IdentityOptions) -> frozenset[str]:
    value = _found(claims, options.groups_claim)
    groups = value.split() if isinstance(value, str) else value
    if not isinstance(groups, list):
        return frozenset()
    known = options.scopes_by_group
    return frozenset().union(*(known[group] for group in groups if _is_in(known, group)))


def _is_in(known: Mapping[str, frozenset[str]], group: object) -> bool:
    return isinstance(group, str) and group in known


def _user(claims: dict[str, Any], options: IdentityOptions) -> str | None:
    value = _found(claims, options.user_claim)
    if value is None:
        return None
    user = short_text(value, options.user_claim)
    if not _LOGIN.fullmatch(user):
        raise UnauthorizedError(f"the token's claim {options.user_claim} is not a login name")
    if options.user_claim == "email" and claims.get("email_verified") is not True:
        raise UnauthorizedError("the token's email is not verified")
    if options.user_domain is None:
        return user
    name, _, domain = user.rpartition("@")
    if not name or domain.lower() != options.user_domain.lower():
        raise UnauthorizedError(f"the token's claim {options.user_claim} is of another domain")
    return name


def _found(claims: Mapping[str, Any], name: str) -> Any:
    """A claim by its name, which may hold dots, or by a path such as ``realm_access.roles``."""
    if name in claims:
        return claims[name]
    first, _, rest = name.partition(".")
    inner = claims.get(first)
    return _found(inner, rest) if rest and isinstance(inner, dict) else None
