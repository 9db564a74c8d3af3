"""Signals become events: a handler only notes what was asked."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType


class Signals:
    """SIGTERM and SIGINT ask to stop, SIGHUP to read the configuration anew."""

    def __init__(self) -> None:
        """No handler is installed yet."""
        self.stop = False
        self.reload = False
        self._came = threading.Event()

    def install(self) -> None:
        """Installs the handlers; from the main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGHUP:
            self.reload = True
        else:
            self.stop = True
        self._came.set()

    def wait(self, seconds: float) -> None:
        """Waits, but no longer than until a signal."""
        self._came.wait(max(seconds, 0.0))
        self._came.clear()
