"""Turns signals into flags: a handler only notes the request, and the loop acts on it."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Interrupted(BaseException):
    """A signal arrived during a wait for another program's response."""


class Signals:
    """SIGTERM and SIGINT request a stop, SIGHUP a reload of the configuration."""

    def __init__(self) -> None:
        """Create the flags without installing handlers."""
        self.stop = False
        self.reload = False
        self._arrived = threading.Event()
        self._interrupts = False

    def install(self) -> None:
        """Install the handlers. Python allows that in the main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if number == signal.SIGHUP:
            self.reload = True
        else:
            self.stop = True
        self._arrived.set()
        if self._interrupts:
            # Only once: a second signal must not interrupt the clean-up after the first.
            self._interrupts = False
            raise Interrupted

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let a signal raise Interrupted in this block. The block may only read, not write."""
        self._interrupts = True
        try:
            if self.stop or self.reload:  # the signal arrived just before the block
                raise Interrupted
            yield
        finally:
            self._interrupts = False

    def wait(self, seconds: float) -> None:
        """Wait for a signal, at most ``seconds``."""
        self._arrived.wait(max(seconds, 0.0))
        self._arrived.clear()
