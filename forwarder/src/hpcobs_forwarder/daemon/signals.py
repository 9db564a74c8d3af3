"""Signals become events: a handler only notes what was asked."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Interrupted(BaseException):
    """A signal came while somebody else's answer was waited for."""


class Signals:
    """SIGTERM and SIGINT ask to stop, SIGHUP to read the configuration anew."""

    def __init__(self) -> None:
        """No handler is installed yet."""
        self.stop = False
        self.reload = False
        self._came = threading.Event()
        self._interrupts = False

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
        if self._interrupts:
            self._interrupts = False
            raise Interrupted

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Within this a signal raises Interrupted: it changes nothing that has to be whole."""
        self._interrupts = True
        try:
            if self.stop or self.reload:
                raise Interrupted
            yield
        finally:
            self._interrupts = False

    def wait(self, seconds: float) -> None:
        """Waits, but no longer than until a signal."""
        self._came.wait(max(seconds, 0.0))
        self._came.clear()
