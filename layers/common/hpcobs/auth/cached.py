"""A cached value of another system, read again periodically: signing keys, a provider's keys."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from hpcobs.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

logger = logging.getLogger(__name__)

# A key that its owner has removed stays valid for so long.
FRESH_SECONDS = 300.0
# Tokens with invented key ids must not cause a read for each request.
SOONER_SECONDS = 60.0
# Short, because requests fail until then if there is no earlier value.
RETRY_SECONDS = 5.0


class Cached(Generic[T]):
    """The value of a source, at most ``fresh_seconds`` old while the source responds.

    While the source fails, the last value stays in use: an outage of the identity provider must not
    stop a site. However many requests arrive, the source is read early at most once in
    ``sooner_seconds``, and once in ``retry_seconds`` after a failure.
    """

    def __init__(
        self,
        source: Callable[[], T],
        *,
        what: str,
        fresh_seconds: float = FRESH_SECONDS,
        sooner_seconds: float = SOONER_SECONDS,
        retry_seconds: float = RETRY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._what = what
        self._fresh_seconds = fresh_seconds
        self._sooner_seconds = sooner_seconds
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._value: T | None = None
        self._last_read = -float("inf")
        self._next_read = -float("inf")

    def __call__(self) -> T:
        """Return the value. Raise UnavailableError if the source never returned one."""
        if self._clock() >= self._next_read:
            self._read()
        if self._value is None:
            raise UnavailableError(f"{self._what} cannot be read now")
        return self._value

    def sooner(self) -> T:
        """Return the value. Read it again before it is old, once in ``sooner_seconds``."""
        if self._clock() >= self._last_read + self._sooner_seconds:
            self._next_read = self._clock()
        return self()

    def _read(self) -> None:
        self._last_read = self._clock()
        try:
            self._value = self._source()
        except UnavailableError as error:
            self._next_read = self._clock() + self._retry_seconds
            logger.warning("%s: %s (%s)", self._what, error, error.__cause__)
        else:
            self._next_read = self._clock() + self._fresh_seconds
