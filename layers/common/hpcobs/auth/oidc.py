"""People who sign in at the site's identity provider: its keys, its tokens, and their principals.

A person sees their own jobs. Only membership in a group that the site names gives other scopes, and
those hold for the whole site. The provider's keys are a JSON Web Key Set (RFC 7517) behind a URL.
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from hpcobs.auth.cached import Cached
from hpcobs.auth.decoding import NOT_VALID, claims_in, short_text, text_claim
from hpcobs.auth.principal import Principal
from hpcobs.auth.scopes import unknown_in
from hpcobs.domain.errors import UnauthorizedError, UnavailableError
from hpcobs.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from http.client import HTTPResponse

    from hpcobs.settings import Settings

RS256 = "RS256"
ES256 = "ES256"
ALGORITHMS = (RS256, ES256)

MAX_BYTES = 256 * 1024
READ_SECONDS = 3.0
# Less than the authorizer's own limit on AWS (10 s), so that a slow provider leads to a 503.
WHOLE_SECONDS = 5.0
# RFC 7518, 3.3: a key for RS256 has 2,048 bits or more.
MIN_RSA_BITS = 2048

LOOPBACK = ("127.0.0.1", "::1", "localhost")
# Without parentheses, which enclose a client's own claim in the audit trail: "ada (portal)".
_LOGIN = re.compile(r"[^\s()]+")

# Only the public members of a key, even if a provider publishes the private ones by mistake.
_PUBLIC_MEMBERS = {RS256: ("kty", "n", "e"), ES256: ("kty", "crv", "x", "y")}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityOptions:
    """The site's identity provider, and the meaning of its claims."""

    jwks_url: str
    issuer: str
    audience: str
    user_claim: str
    user_domain: str | None
    user_scopes: frozenset[str]
    groups_claim: str
    scopes_by_group: Mapping[str, frozenset[str]]


def options(settings: Settings) -> IdentityOptions | None:
    """Return the settings' identity provider, or None without AUTH_JWKS_URL.

    Raise SettingsError if the settings cannot be used.
    """
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
    """Return whether the URL's content cannot be changed in transit: TLS, or a loopback."""
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
    """Checks the provider's tokens, and returns their principals."""

    def __init__(self, options: IdentityOptions, keys: Cached[Sequence[PyJWK]]) -> None:
        self._options = options
        self._keys = keys

    def principal(self, token: str, header: Mapping[str, Any]) -> Principal:
        """Return the principal of a token with that header, or raise UnauthorizedError."""
        algorithm, kid = str(header.get("alg")), header.get("kid")
        keys = _matching(self._keys(), algorithm, kid)
        if not keys:
            keys = _matching(self._keys.sooner(), algorithm, kid)
        claims = claims_in(
            token,
            [key.key for key in keys],
            algorithm=algorithm,
            issuer=self._options.issuer,
            audience=self._options.audience,
        )
        return principal_of(claims, self._options)


def identity_provider(options: IdentityOptions) -> IdentityProvider:
    """Make the provider of the options. Its keys are read when the first token arrives."""
    keys = Cached(KeySet(options.jwks_url), what="the identity provider's keys")
    return IdentityProvider(options, keys)


def _matching(keys: Sequence[PyJWK], algorithm: str, kid: object) -> list[PyJWK]:
    """Return the key with that id and algorithm or, without an id, the algorithm's only key."""
    matching = [
        key for key in keys if key.algorithm_name == algorithm and kid in (None, key.key_id)
    ]
    return matching if kid is not None or len(matching) == 1 else []


def principal_of(claims: dict[str, Any], options: IdentityOptions) -> Principal:
    """Return the principal of a valid token's claims, with the scopes that the site grants."""
    subject = text_claim(claims, "sub")
    if subject is None:
        raise UnauthorizedError(NOT_VALID)
    limits: dict[str, Any] = {
        "cluster": text_claim(claims, "cluster"),
        "expires_at": int(claims["exp"]),
    }
    granted = _granted(claims, options)
    user = _user(claims, options)
    if granted:
        return Principal(subject=user or subject, scopes=granted, **limits)
    if user is None:
        raise UnauthorizedError(f"the token has no claim {options.user_claim}, and no known group")
    return Principal(subject=user, scopes=options.user_scopes, user=user, **limits)


def _granted(claims: dict[str, Any], options: IdentityOptions) -> frozenset[str]:
    # Providers write groups as a list, or as scopes in one text (Azure's "scp").
    value = _claim(claims, options.groups_claim)
    groups = value.split() if isinstance(value, str) else value
    if not isinstance(groups, list):
        return frozenset()
    known = options.scopes_by_group
    return frozenset().union(*(known[group] for group in groups if _is_in(known, group)))


def _is_in(known: Mapping[str, frozenset[str]], group: object) -> bool:
    return isinstance(group, str) and group in known


def _user(claims: dict[str, Any], options: IdentityOptions) -> str | None:
    value = _claim(claims, options.user_claim)
    if value is None:
        return None
    user = short_text(value, options.user_claim)
    if not _LOGIN.fullmatch(user):
        raise UnauthorizedError(f"the token's claim {options.user_claim} is not a login name")
    # Some providers let a person enter any address: only a verified one names its owner.
    if options.user_claim == "email" and claims.get("email_verified") is not True:
        raise UnauthorizedError("the token's email is not verified")
    if options.user_domain is None:
        return user
    name, _, domain = user.rpartition("@")
    if not name or domain.lower() != options.user_domain.lower():
        raise UnauthorizedError(f"the token's claim {options.user_claim} is of another domain")
    return name


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, which may hold dots, or by a path: ``realm_access.roles``."""
    if name in claims:
        return claims[name]
    first, _, rest = name.partition(".")
    inner = claims.get(first)
    return _claim(inner, rest) if rest and isinstance(inner, dict) else None


class KeySet:
    """The provider's keys, read from their URL within limits that PyJWKClient lacks (ADR 0022)."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self) -> Sequence[PyJWK]:
        """Read the keys for RS256 and ES256. Raise UnavailableError if there is no usable one."""
        try:
            content = json.loads(_fetch(self._url))
            entries = list(content["keys"])
        except (OSError, HTTPException, ValueError, TypeError, KeyError, RecursionError) as error:
            raise UnavailableError("the identity provider's keys cannot be read") from error
        keys = [key for key in map(_usable, entries) if key is not None]
        if not keys:
            raise UnavailableError("the identity provider has no key for RS256 or ES256")
        return keys


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    # A redirect leads to a place that the site's configuration does not name.
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return


def _fetch(url: str) -> bytes:
    """Read a URL of at most MAX_BYTES within WHOLE_SECONDS, and follow no redirect."""
    opener = urllib.request.build_opener(_NoRedirects)
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - settings allow https only
    # The socket's time limit starts again with every byte, so the whole response needs another.
    end = time.monotonic() + WHOLE_SECONDS
    content = b""
    with cast("HTTPResponse", opener.open(request, timeout=READ_SECONDS)) as response:
        while chunk := response.read1(MAX_BYTES):
            content += chunk
            if len(content) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            if time.monotonic() > end:
                raise TimeoutError(f"not read within {WHOLE_SECONDS:g} s")
    return content


def _usable(entry: Any) -> PyJWK | None:
    """Return the key of an entry of the set, or None if it is not for RS256 or ES256 signatures."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if "verify" not in (entry.get("key_ops") or ["verify"]):
        return None
    kid = entry.get("kid")
    algorithm = {"RSA": RS256, "EC": ES256}.get(str(entry.get("kty")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    if kid is not None and not isinstance(kid, str):
        return None
    try:
        public = {name: entry[name] for name in _PUBLIC_MEMBERS[algorithm]}
        key = PyJWK({"kid": kid, **public}, algorithm)
    except (PyJWTError, KeyError, AttributeError):
        return None
    return key if _is_strong(key, entry) else None


def _is_strong(key: PyJWK, entry: Mapping[str, Any]) -> bool:
    # PyJWT makes keys of any curve and of any length.
    if key.algorithm_name == ES256:
        return bool(entry["crv"] == "P-256")
    bits: int = key.key.key_size
    return bits >= MIN_RSA_BITS
