"""Wait for what another thread or process does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_SECONDS = 60.0
"""Bound of waits. It only ends a test that fails, so that busy machines pass."""


def eventually(
    condition: Callable[[], object],
    seconds: float = WAIT_SECONDS,
    *,
    every: float = 0.02,
    log: Callable[[], str] = str,
) -> None:
    """Wait until ``condition`` is true. Fail after ``seconds``, with ``log``."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still false after {seconds} s\n{log()}"
        time.sleep(every)
