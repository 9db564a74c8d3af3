"""What is logged while something does not work: enough to mend it, and not too often."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock

_log = logging.getLogger(__name__)

_AGAIN_SECONDS = 600.0


class Troubles:
    """Troubles by the words before their first colon."""

    def __init__(self, clock: Clock) -> None:
        """All is well."""
        self._clock = clock
        self._said: dict[str, float] = {}
        self._lasts = False

    def say(self, text: str) -> bool:
        """Logs a trouble when it begins, and every ten minutes while it lasts; whether it did."""
        key = text.partition(":")[0]
        now = self._clock.uptime()
        if now - self._said.get(key, -_AGAIN_SECONDS) < _AGAIN_SECONDS:
            return False
        self._said[key] = now
        _log.warning("%s", text)
        return True

    def begin(self, text: str) -> None:
        """The site does not take what waits; says so, unless it has just been said."""
        self._lasts = self.say(text) or self._lasts

    def end(self) -> None:
        """The site takes what waits: says so if anybody was told that it does not."""
        if self._lasts:
            _log.info("the site takes what waits again")
            self._lasts = False
