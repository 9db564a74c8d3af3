"""The current time, as a dependency that tests replace."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

Clock = Callable[[], datetime]
"""A function that returns the current time in UTC."""

utc_now: Clock = partial(datetime.now, UTC)
"""The real time."""


def continued(now: datetime) -> Clock:
    """Return a clock that goes on from ``now``, and that no change of the host's clock moves."""
    began = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - began)
