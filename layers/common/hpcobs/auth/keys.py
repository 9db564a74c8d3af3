"""The keys that sign the site's own tokens. Two are valid at a time, so that one can be changed.

A token names its key by an id that is derived from the key itself (RFC 7515, ``kid``): whoever has
the key can issue tokens, whichever way the key was handed over.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs.auth.cached import Cached

Keys = tuple[str, ...]
"""The current key, and the one before it where there is one."""

MIN_CHARACTERS = 32
ID_BYTES = 9


def key_id(key: str) -> str:
    """What a key is called in the tokens that it signed; it tells nothing of the key."""
    digest = hmac.digest(key.encode(), b"hpcobs key id", hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:ID_BYTES]).decode("ascii")


class KeyRing:
    """The valid keys, as their source tells them."""

    def __init__(self, source: Cached[Keys]) -> None:
        self._source = source

    def candidates(self, kid: str | None) -> Keys:
        """The keys that may have signed a token: the one of that name, or else all of them.

        The source is asked again for a name that is not known: a key may be new.
        """
        keys = self._source()
        named = _named(keys, kid)
        if kid is not None and not named:
            keys = self._source.sooner()
            named = _named(keys, kid)
        return named or keys


def _named(keys: Keys, kid: str | None) -> Keys:
    return tuple(key for key in keys if key_id(key) == kid)
