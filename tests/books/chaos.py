"""Faults at random moments: kills, restarts, other clocks, and retention at any time."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from tests.books.workers import CAN_MOVE_CLOCKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.books.site import Site

AHEAD = ("+1d", "+3d", "+30d", "+800d")
BEHIND = ("-3d", "-30d", "-800d")
NEARLY_RIGHT = ("-5m", "+0", "+5m")
"""Clocks of collectors that store the same as a right one: samples may come 10 minutes ahead."""
FUNCTIONS = ("collector", "events", "ingest", "retention")


@dataclass
class Chaos:
    """Disturbs a site until it is left. Each kind of fault is counted."""

    site: Site
    chance: random.Random
    kinds: tuple[str, ...]
    counts: Counter[str] = field(default_factory=Counter)
    problem: BaseException | None = None
    _done: Event = field(default_factory=Event)

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self.problem is not None:
            raise self.problem

    def _run(self) -> None:
        try:
            while not self._done.wait(self.chance.uniform(0, 0.4)):
                kind = self.chance.choice(self.kinds)
                self.counts[kind] += 1
                KINDS[kind](self)
        except BaseException as error:  # noqa: BLE001 - it is raised in the other thread
            self.problem = error

    def run(self, function: str, *clocks: str) -> None:
        """Run a function beside the service. Kill it in the midst, sometimes."""
        ahead = self.chance.choice(clocks) if CAN_MOVE_CLOCKS else "+0"
        work = self.site.start(function, ahead=ahead)
        if self.chance.random() < 1 / 2:
            time.sleep(self.chance.uniform(0, 0.5))
            self.counts["killed " + function] += not work.over
            work.kill()
            self.site.show_messages()
        work.wait()

    def kill_function(self) -> None:
        """Kill one of the service's functions."""
        with suppress(ValueError, ProcessLookupError):
            name = f"functions.{self.chance.choice(FUNCTIONS)}."
            os.kill(self.site.service.pid_of(name), signal.SIGKILL)
        self.site.show_messages()

    def kill_postgres(self) -> None:
        """Kill the server. The service starts it again."""
        with suppress(OSError):
            text = (self.site.folder / "postgres" / "data" / "postmaster.pid").read_text()
            os.kill(int(text.split()[0]), signal.SIGKILL)
        self.site.wait_for_database()
        self.site.show_messages()

    def kill_service(self) -> None:
        """Kill all processes, and start the service again."""
        self.site.kill()
        self.site.begin()
        self.site.show_messages()


KINDS: dict[str, Callable[[Chaos], None]] = {
    "collector": lambda chaos: chaos.run("collector", *NEARLY_RIGHT),
    "retention": lambda chaos: chaos.run("retention", "+0"),
    "retention ahead": lambda chaos: chaos.run("retention", *AHEAD),
    "retention behind": lambda chaos: chaos.run("retention", *BEHIND),
    "function": Chaos.kill_function,
    "PostgreSQL": Chaos.kill_postgres,
    "service": Chaos.kill_service,
}
CALM = ("collector", "retention")
