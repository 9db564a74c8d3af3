"""Python imports this at its start, where it is in PYTHONPATH: it replaces ``time.sleep``.

libfaketime moves the wall clock alone, but breaks clock_nanosleep on the other clock: each sleep is
an "Invalid argument". A wait for no file takes as long.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex, /) -> None:
    select.select((), (), (), float(seconds))


time.sleep = _sleep
