"""What time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Now, in UTC."""


def utc_now() -> datetime:
    """The real time."""
    return datetime.now(UTC)
