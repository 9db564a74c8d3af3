"""The authorizer before the functions: asked once per Authorization header and minute."""

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
    """The route asks for a token, and no Authorization header came."""


class DeniedError(Exception):
    """The authorizer said no."""


class Authorization:
    """Asks the authorizer, and keeps its verdicts for a while."""

    def __init__(self, functions: Functions, clock: Callable[[], float] = time.monotonic) -> None:
        self._functions = functions
        self._clock = clock
        self._known: dict[bytes, tuple[float, Mapping[str, Any]]] = {}

    async def context(self, request: Request, match: Match) -> Mapping[str, Any] | None:
        """The authorizer's context for the request; None where no token is asked for."""
        if match.scope is None:
            return None
        header = request.headers.get("authorization")
        if not header:
            raise NoTokenError
        key = hashlib.sha256(header.encode(errors="surrogateescape")).digest()
        known = self._known.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        verdict = await self._functions.invoke(AUTHORIZER, authorizer_event(request, match))
        return self._kept(key, verdict)

    def _kept(self, key: bytes, verdict: Any) -> Mapping[str, Any]:
        if not isinstance(verdict, dict) or verdict.get("isAuthorized") is not True:
            raise DeniedError
        context: Mapping[str, Any] = verdict.get("context") or {}
        self._known.pop(key, None)
        self._known[key] = (self._clock() + CACHE_SECONDS, context)
        while len(self._known) > CACHE_ENTRIES:
            del self._known[next(iter(self._known))]
        return context
