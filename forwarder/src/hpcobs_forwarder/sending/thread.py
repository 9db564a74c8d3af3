"""The sender's thread: a pass never waits for the network."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpcobs_forwarder.sending.sender import Sender
    from hpcobs_forwarder.spool.upkeep import Upkeep

_log = logging.getLogger(__name__)


class SenderThread:
    """Drains the spool when woken, and again when a pause is over."""

    def __init__(self, sender: Sender, upkeep: Upkeep, stopping: threading.Event) -> None:
        """Not started yet; ``stopping`` is the sender's own."""
        self._sender = sender
        self._upkeep = upkeep
        self._stopping = stopping
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to send."""
        self._woken.set()

    def stop(self, timeout_seconds: float) -> None:
        """Ends after the request in progress, which is waited for no longer than this."""
        self._stopping.set()
        self.wake()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self._sender.pause() or None)
            self._woken.clear()
            try:
                self._sender.drain()
                self._upkeep.trim_if_due()
            except Exception:  # noqa: BLE001 - the edge of the loop
                _log.exception("sending failed")
