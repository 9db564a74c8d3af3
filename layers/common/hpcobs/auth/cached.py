"""What is known from elsewhere, asked for again now and then: signing keys, a provider's keys."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from hpcobs.domain.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

logger = logging.getLogger(__name__)

FRESH_SECONDS = 300.0
SOONER_SECONDS = 60.0
RETRY_SECONDS = 5.0


class Cached(Generic[T]):
    """The value of a source, at most ``fresh_seconds`` old while the source answers.

    While it does not answer, the value that is known serves on. However many ask, the source is
    asked at most once in ``sooner_seconds`` for something that may be new, and once in
    ``retry_seconds`` after it failed.
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
        self._asked_at = -float("inf")
        self._ask_from = -float("inf")

    def __call__(self) -> T:
        """The value; UnavailableError if it was never to be had."""
        if self._clock() >= self._ask_from:
            self._ask()
        if self._value is None:
            raise UnavailableError(f"{self._what} cannot be had now")
        return self._value

    def sooner(self) -> T:
        """The value, asked for again although it is fresh, unless that was done just now."""
        if self._clock() >= self._asked_at + self._sooner_seconds:
            self._ask_from = self._clock()
        return self()

    def _ask(self) -> None:
        self._asked_at = self._clock()
        try:
            self._value = self._source()
        except UnavailableError as error:
            self._ask_from = self._clock() + self._retry_seconds
            logger.warning("%s: %s (%s)", self._what, error, error.__cause__)
        else:
            self._ask_from = self._clock() + self._fresh_seconds
