"""The current time, as a dependency that tests replace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

Clock = Callable[[], datetime]
"""A function that returns the current time in UTC."""

utc_now: Clock = partial(datetime.now, UTC)
"""The real time."""
