"""The daemon: startup, loop, shutdown, the same for both roles."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple, Protocol

from hpcobs_forwarder.health import Health, write_textfile
from hpcobs_forwarder.signals import Interrupted

if TYPE_CHECKING:
    from hpcobs_forwarder.clock import Clock
    from hpcobs_forwarder.sending.thread import SenderThread
    from hpcobs_forwarder.signals import Signals
    from hpcobs_forwarder.spool.spool import Spool
    from hpcobs_forwarder.spool.upkeep import Upkeep

_log = logging.getLogger(__name__)

_LAST_REQUEST_SECONDS = 1.0
"""How long a request in progress may take once the forwarder is asked to stop."""


class Work(Protocol):
    """What a role does at every interval."""

    def tick(self) -> None:
        """One pass."""
        ...

    def close(self) -> None:
        """The last thing: what is in memory only goes to the spool."""
        ...


class Forwarder(NamedTuple):
    """One forwarder's parts, put together for one configuration."""

    work: Work
    interval_seconds: float
    spool: Spool
    upkeep: Upkeep
    sender: SenderThread
    health: Health
    clock: Clock
    textfile: str | None = None

    def run(self, signals: Signals) -> None:
        """Runs until a signal asks to stop or to reload; what was taken is in the spool then."""
        self.spool.open()
        self.upkeep.recover()
        self.sender.start()
        try:
            self._loop(signals)
        finally:
            self.work.close()
            self.sender.stop(_LAST_REQUEST_SECONDS)
            self.spool.close()

    def _loop(self, signals: Signals) -> None:
        due = self.clock.uptime()
        while not (signals.stop or signals.reload):
            self._tick()
            self.sender.wake()
            now = self.clock.uptime()
            # A pass that took too long, or a node that slept, skips passes: none are made up for.
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
        self.health.add("passes_total")
        self.health.set("pass_duration_seconds", self.clock.uptime() - began)
        self.health.set("last_pass_timestamp_seconds", self.clock.wall())
        if self.textfile:
            _say_health(self.textfile, self.health)


def _say_health(path: str, health: Health) -> None:
    try:
        write_textfile(path, health.exposition())
    except OSError as error:
        _log.warning("the health file cannot be written: %s", error)
