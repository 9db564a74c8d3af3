"""The daemon's two loops: passes in the main thread, sending in a thread beside it.

Startup and shutdown are the same for both roles.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hpcobs_forwarder.daemon.health import Health, write_textfile
from hpcobs_forwarder.daemon.signals import Interrupted

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.daemon.signals import Signals
    from hpcobs_forwarder.sending.sender import Sender
    from hpcobs_forwarder.spool.janitor import SpoolJanitor
    from hpcobs_forwarder.spool.spool import Spool

_log = logging.getLogger(__name__)

_LAST_REQUEST_SECONDS = 1.0
"""How long a request in progress may take after a stop signal."""


class Work(Protocol):
    """The work of a role at every interval."""

    def tick(self) -> None:
        """Make one pass."""
        ...

    def close(self) -> None:
        """Write everything that is only in memory to the spool."""
        ...


class Forwarder(NamedTuple):
    """The parts of one forwarder for one configuration."""

    work: Work
    interval_seconds: float
    spool: Spool
    janitor: SpoolJanitor
    sender: SenderThread
    health: Health
    clock: Clock
    textfile: str | None = None

    def run(self, signals: Signals) -> None:
        """Run until a signal asks for a stop or a reload.

        All samples are in the spool or in the fallback folder then, or in memory if both are full.
        """
        self.spool.open()
        try:
            self.janitor.recover()
            self.sender.start()
            self._loop(signals)
        finally:
            try:
                self.work.close()
            finally:
                # The locks go last: until then no other forwarder may touch the files.
                self.sender.stop(_LAST_REQUEST_SECONDS)
                self.spool.close()

    def _loop(self, signals: Signals) -> None:
        due = self.clock.uptime()
        while not (signals.stop or signals.reload):
            self._tick()
            self.sender.wake()
            now = self.clock.uptime()
            # A pass that took too long, or a node that slept, skips passes: a reading of a missed
            # pass cannot be made up for.
            due += self.interval_seconds * max(1, -(-(now - due) // self.interval_seconds))
            signals.wait(due - now)

    def _tick(self) -> None:
        began = self.clock.uptime()
        try:
            self.work.tick()
        except Exception:  # noqa: BLE001 - the edge of the loop: the next pass may succeed
            _log.exception("the pass failed")
            self.health.add("pass_failures_total")
        except Interrupted:
            return
        self._write_back()
        self.health.add("passes_total")
        self.health.set("pass_duration_seconds", self.clock.uptime() - began)
        self.health.set("last_pass_timestamp_seconds", self.clock.wall())
        write_health(self.textfile, self.health)

    def _write_back(self) -> None:
        try:
            self.spool.write_back(self.clock.wall())
        except Exception:  # noqa: BLE001 - the edge of the loop: the next pass tries again
            _log.exception("what was in memory could not be written to the spool")


def write_health(path: str | None, health: Health) -> None:
    """Replace the health file at ``path``, if there is to be one."""
    if path is None:
        return
    try:
        write_textfile(path, health.exposition())
    except OSError as error:
        # A full disk fails in each pass. The next pass tries again.
        health.log_once("the health file cannot be written: %s", error)


class SenderThread:
    """Drains the spool when woken, and again after a pause. So a pass never waits for the site."""

    def __init__(self, sender: Sender, janitor: SpoolJanitor, stopping: threading.Event) -> None:
        """Create the thread without starting it. ``stopping`` is the same event as the sender's."""
        self._sender = sender
        self._janitor = janitor
        self._stopping = stopping
        self._woken = threading.Event()
        # A daemon thread: a request that hangs must not keep the process alive after a stop.
        self._thread = threading.Thread(target=self._run, name="sender", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Start a drain, unless the site is paused."""
        self._woken.set()

    def stop(self, timeout_seconds: float) -> None:
        """Stop after the request in progress. Wait for it no longer than ``timeout_seconds``."""
        self._stopping.set()
        self.wake()
        if self._thread.ident is not None:  # else it was never started
            self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.wait(self._sender.pause() or None)
            # Before the drain: a batch sealed during it wakes the thread again.
            self._woken.clear()
            try:
                self._sender.drain()
                self._janitor.trim_if_due()
            except Exception:  # noqa: BLE001 - the edge of the loop
                _log.exception("sending failed")
