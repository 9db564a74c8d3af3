"""The authorizer, which is invoked before the functions. Its verdicts are cached for a minute."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from hpcobs.auth.principal import VERDICT_SECONDS
from hpcobs_local.gateway.events import authorizer_event

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hpcobs_local.functions import Functions
    from hpcobs_local.gateway.matching import Match
    from hpcobs_local.gateway.requests import Request

CACHE_SECONDS = float(VERDICT_SECONDS)
CACHE_ENTRIES = 1000
AUTHORIZER = "authorizer"


class NoTokenError(Exception):
    """The route needs a token, and the request has no Authorization header."""


class DeniedError(Exception):
    """The authorizer denied the request."""


class Authorization:
    """Invokes the authorizer, and caches its verdicts per Authorization header."""

    def __init__(self, functions: Functions, clock: Callable[[], float] = time.monotonic) -> None:
        self._functions = functions
        self._clock = clock
        self._cache: dict[bytes, tuple[float, Mapping[str, Any]]] = {}

    async def context(self, request: Request, match: Match) -> Mapping[str, Any] | None:
        """Return the authorizer's context for the request, None if the route needs no token.

        Raise NoTokenError or DeniedError.
        """
        if match.scope is None:
            return None
        header = request.headers.get("authorization")
        if not header:
            raise NoTokenError
        # A hash, so that the cache holds no tokens.
        key = hashlib.sha256(header.encode(errors="surrogateescape")).digest()
        cached = self._cache.get(key)
        if cached is not None and cached[0] > self._clock():
            return cached[1]
        verdict = await self._functions.invoke(AUTHORIZER, authorizer_event(request, match))
        return self._store(key, verdict)

    def _store(self, key: bytes, verdict: Any) -> Mapping[str, Any]:
        if not isinstance(verdict, dict) or verdict.get("isAuthorized") is not True:
            raise DeniedError
        context: Mapping[str, Any] = verdict.get("context") or {}
        # Moved to the end: the oldest entries come first, and are dropped first.
        self._cache.pop(key, None)
        self._cache[key] = (self._clock() + CACHE_SECONDS, context)
        while len(self._cache) > CACHE_ENTRIES:
            del self._cache[next(iter(self._cache))]
        return context
