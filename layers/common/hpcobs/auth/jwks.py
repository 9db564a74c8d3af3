"""The public keys of the site's identity provider: a JSON Web Key Set (RFC 7517) behind a URL.

Only keys that may check RS256 or ES256 signatures are taken; what else is there is passed over.
"""

from __future__ import annotations

import json
import time
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, cast

from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from jwt.exceptions import InvalidKeyError

from hpcobs.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from http.client import HTTPResponse

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from jwt.algorithms import AllowedPublicKeys

RS256 = "RS256"
ES256 = "ES256"

MAX_BYTES = 256 * 1024
READ_SECONDS = 3.0
WHOLE_SECONDS = 5.0
MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key, its name, and the one algorithm that it is believed with."""

    kid: str | None
    algorithm: str
    key: AllowedPublicKeys


class KeySet:
    """The provider's keys as its URL tells them."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self) -> Sequence[PublicKey]:
        """Ask for the keys; UnavailableError if no usable one can be had."""
        try:
            content = json.loads(_fetched(self._url))
            entries = list(content["keys"])
        except (OSError, HTTPException, ValueError, TypeError, KeyError, RecursionError) as error:
            raise UnavailableError("the identity provider's keys cannot be read") from error
        keys = [key for key in map(_usable, entries) if key is not None]
        if not keys:
            raise UnavailableError("the identity provider has no key for RS256 or ES256")
        return keys


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect leads where the site's configuration did not."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none."""
        return


def _fetched(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - settings allow https only
    give_up_at = time.monotonic() + WHOLE_SECONDS
    content = b""
    with cast("HTTPResponse", opener.open(request, timeout=READ_SECONDS)) as response:
        while chunk := response.read1(MAX_BYTES):
            content += chunk
            if len(content) > MAX_BYTES:
                raise ValueError(f"more than {MAX_BYTES} bytes")
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"not read within {WHOLE_SECONDS:g} s")
    return content


def _usable(entry: Any) -> PublicKey | None:
    """The key in an entry of the set; None if it is not for signatures of the two kinds."""
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
    key = _public(entry, algorithm)
    return None if key is None else PublicKey(kid, algorithm, key)


def _public(entry: dict[str, Any], algorithm: str) -> AllowedPublicKeys | None:
    """The public half, even where a provider publishes the private one by mistake."""
    try:
        if algorithm == RS256:
            numbers = {name: entry[name] for name in ("kty", "n", "e")}
            rsa = cast("RSAPublicKey", RSAAlgorithm.from_jwk(numbers))
            return rsa if rsa.key_size >= MIN_RSA_BITS else None
        if entry.get("crv") != "P-256":
            return None
        point = {name: entry[name] for name in ("kty", "crv", "x", "y")}
        return cast("AllowedPublicKeys", ECAlgorithm.from_jwk(point))
    except (InvalidKeyError, ValueError, TypeError, KeyError, AttributeError):
        return None
