"""The interface of roll-ups: hours of samples are summed up before the samples are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Rollups(Protocol):
    """The roll-ups. Rolling up an hour makes its roll-ups equal to its stored samples."""

    def due(self, before: datetime) -> Sequence[datetime]:
        """Return the hours before a time that have samples newer than their roll-ups."""

    def count_due(self, before: datetime) -> int:
        """Return how many hours ``due`` would return. Change nothing."""

    def roll(self, hour: datetime) -> bool:
        """Roll up an hour, or do it again. Return False if another roll-up is under way."""
