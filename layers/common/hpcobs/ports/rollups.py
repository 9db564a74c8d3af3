"""What retention needs of roll-ups: hours of samples that are summed up before the samples go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Rollups(Protocol):
    """The roll-ups of samples, kept equal to what is stored hour by hour."""

    def due(self, before: datetime) -> Sequence[datetime]:
        """The hours before a time that were not rolled up since samples of them were stored."""

    def count_due(self, before: datetime) -> int:
        """How many hours ``due`` would tell; changes nothing."""

    def roll(self, hour: datetime) -> bool:
        """Roll an hour up, again if need be; False if another roll-up is under way."""
