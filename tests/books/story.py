"""One story of a site from a seed: phases of messages and faults, then a look at the books."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tests.books.answers import compare_counters, compare_jobs, compare_series, compare_trail
from tests.books.books import Books, Phase
from tests.books.chaos import KINDS, Chaos
from tests.books.comparison import chosen, compare_rollups, compare_rows
from tests.books.messages import Batch
from tests.books.plan import Plan
from tests.books.schedule import Schedule
from tests.books.sender import Sender
from tests.books.site import Site
from tests.books.workers import workers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATE = timedelta(minutes=15)
"""How long after its end an hour is rolled up."""


@dataclass(frozen=True, kw_only=True)
class Outline:
    """A story's size: the retention of each phase in days, and the faults that may happen."""

    retention_days: tuple[int, ...] = (7, 2, 7)
    jobs: int = 8
    samples_each: int = 6
    faults: tuple[str, ...] = tuple(KINDS)
    clock_jumps: tuple[str, ...] = ()
    """By how much the clock of the whole service is wrong, for a start at the end."""


@dataclass
class Story:
    """A site's story so far."""

    seed: int
    outline: Outline
    site: Site
    chance: random.Random
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    rolled_before: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Plan the site's jobs."""
        plan = Plan(self.chance, datetime.now(UTC), jobs=self.outline.jobs)
        self.books = Books(plan.jobs)
        phases = len(self.outline.retention_days)
        self.schedule = Schedule(plan, self.books, phases, self.outline.samples_each)
        self.sender = Sender(self.site.folder, self.site.url)

    def play(self) -> list[str]:
        """Play all phases, and return the differences between the service and the books."""
        began = time.monotonic()
        for number, days in enumerate(self.outline.retention_days):
            self._enter(number, days)
            self._send()
            self.site.drain()
            self.site.roll_up(confirm=self.chance.random() < 1 / 2)
        for ahead in self.outline.clock_jumps:
            self._jump(ahead)
        self.site.end_waits()
        now = datetime.now(UTC)
        self.rolled_before = (now - LATE).replace(minute=0, second=0, microsecond=0)
        self.site.roll_up(confirm=False)
        self.sender.close()
        found = [*self.differences()]
        self.seconds = time.monotonic() - began
        return found

    def _enter(self, number: int, days: int) -> None:
        if number == 0:
            self.site.retention_days = days
            self.site.begin()
        else:
            self.site.restart(retention_days=days, kill=self.chance.random() < 1 / 2)
        if number == len(self.outline.retention_days) - 1:
            # Late starts come in the last phase. The samples that wait for them are of days that a
            # lower limit may seal before or after the start: so all such days are sealed now.
            self.site.roll_up(confirm=True)
        phase = Phase(datetime.now(UTC), days, self.site.database.sealed_before())
        self.books.phases.append(phase)

    def _send(self) -> None:
        messages = self.schedule.messages()
        chance = random.Random(self.chance.random())
        with Chaos(self.site, chance, self.outline.faults) as chaos:
            for message in messages:
                if isinstance(message, Batch):
                    self.sender.batch(message, self.books.phase)
                else:
                    self.sender.event(message)
        self.faults += chaos.counts

    def _jump(self, ahead: str) -> None:
        """Start the service once with a wrong clock, for as long as its retention takes."""
        log = self.site.folder / "logs" / "retention.log"
        known = _runs(log)
        self.site.service.stop()
        self.site.begin(ahead)
        self.site.service.wait_until(lambda: _runs(log) > known)
        self.site.restart(retention_days=self.site.retention_days, kill=False)
        self.faults["service's clock " + ahead] += 1

    def differences(self) -> Iterator[str]:
        """Yield the differences between the service and the books."""
        database, service = self.site.database, self.site.service
        truth, sealed_before = self.books.truth(), database.sealed_before()
        samples = chosen(truth, database)
        yield from self._sealed(sealed_before)
        yield from compare_rows(truth, samples, database, sealed_before)
        yield from compare_rollups(samples, database, self.rolled_before)
        yield from compare_jobs(self.books, samples, service)
        yield from compare_series(self.books, samples, service, sealed_before)
        rejected = len(database.rejected())
        # A killed function may have stored what it did not report.
        is_calm = not self.faults.keys() - {"collector", "retention"} and not self.sender.retries
        yield from compare_counters(self.books, truth, service, rejected=rejected, is_calm=is_calm)
        yield from compare_trail(self.sender, database)

    def _sealed(self, sealed_before: datetime) -> Iterator[str]:
        days = min(phase.retention_days for phase in self.books.phases)
        allowed = datetime.now(UTC) - timedelta(days=days)
        if sealed_before > allowed:
            yield f"sealed before {sealed_before}, which is later than {allowed}"


def _runs(log: Path) -> int:
    return log.read_text(errors="replace").count("retention ran") if log.exists() else 0


@contextmanager
def story(seed: int, outline: Outline, folder: Path) -> Iterator[Story]:
    """Make a site for a story in an empty folder. Leave no process behind."""
    folder.mkdir(parents=True, exist_ok=True)
    with workers(folder / "workers") as crew:
        site = Site(folder / "data", crew)
        try:
            yield Story(seed, outline, site, random.Random(seed))
        finally:
            if site.starts:
                site.service.kill()
