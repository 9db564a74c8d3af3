"""When to try again: exponential, jittered, never before the site's ``Retry-After``."""

from __future__ import annotations

import random

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 300.0
_LONGEST_RETRY_AFTER_SECONDS = 3600.0


class Backoff:
    """The pause after failures. Jitter keeps a thousand nodes from returning at one moment."""

    def __init__(self, rng: random.Random | None = None) -> None:
        """Ready at once."""
        self._random = rng or random.Random()  # noqa: S311 - for spreading, not for secrets
        self._failures = 0
        self._until = 0.0

    def remaining(self, now: float) -> float:
        """Seconds until the next attempt is allowed; 0 if it is now."""
        return max(self._until - now, 0.0)

    def failed(self, now: float, retry_after: float | None = None) -> float:
        """Counts a failure; the pause it costs, in seconds."""
        ceiling = min(_FIRST_SECONDS * 2.0 ** min(self._failures, 20), _LONGEST_SECONDS)
        self._failures += 1
        pause = self._random.uniform(ceiling / 2, ceiling)
        if retry_after is not None:
            least = min(max(retry_after, 0.0), _LONGEST_RETRY_AFTER_SECONDS)
            pause = max(pause, least * self._random.uniform(1.0, 1.1))
        self._until = now + pause
        return pause

    def succeeded(self) -> None:
        """The site works: no pause."""
        self._failures = 0
        self._until = 0.0
