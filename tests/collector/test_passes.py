"""A pass of the collector ends in time, fits into memory and leaves no message hidden."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.ports.clock import utc_now
from hpcobs.queue.postgres import PostgresQueue
from hpcobs.service import receiving
from hpcobs.service.collection import Collection, CollectionRules
from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.timings import OperationTimings
from tests.collector.batches import body, many, sample
from tests.collector.conftest import RULES, Site

if TYPE_CHECKING:
    from hpcobs.domain.samples import Stored
    from hpcobs.ports.queue import Message
    from hpcobs.ports.samples import WriteBatch


@pytest.fixture
def chance() -> random.Random:
    return random.Random(2)


def test_run_without_time_leaves_messages(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    site.post(site.sent.batch("n1", [sample("1", utc_now(), chance)]))
    writer = PostgresSampleWriter(site.connect(), OperationTimings())
    report = Collection(PostgresQueue(site.connect()), writer, RULES).run(lambda: 5.0)
    assert report.messages == 0
    site.collect()
    site.check("1")


class Busy(PostgresQueue):
    """A queue that gets a message at each receive."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        super().__init__(site.connect())
        self._site = site
        self._chance = chance
        self.receives = 0

    def receive(self, *, limit: int) -> Sequence[Message]:
        self.receives += 1
        self._site.post(self._site.sent.batch("n1", [sample("1", utc_now(), self._chance)]))
        return super().receive(limit=limit)


def test_pass_ends_while_samples_arrive(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    site.post(site.sent.batch("n1", [sample("1", utc_now(), chance)]))
    queue = Busy(site, chance)
    writer = PostgresSampleWriter(site.connect(), OperationTimings())
    assert Collection(queue, writer, RULES).run(lambda: 60.0).passes == 1
    assert queue.receives < 4
    site.check("1")


class Watched:
    """A writer that records the sizes of its batches, and how long their messages were hidden."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._writer = PostgresSampleWriter(site.connect(), OperationTimings())
        self.sizes: list[int] = []
        self.hidden_for: list[timedelta] = []

    def store(self, batch: WriteBatch) -> Stored:
        self.sizes.append(len(batch.samples))
        ((hidden,),) = self._site.query("SELECT min(visible_at) - now() FROM sample_queue")
        self.hidden_for.append(hidden)
        return self._writer.store(batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


def test_backlog_is_split_into_bounded_batches(
    site: Site, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiving, "BATCH_ROWS", 500)
    jobs = [str(number) for number in range(1, 6)]
    site.start_jobs(*jobs)
    site.post(*many(site.sent, jobs=5, nodes=1, rounds=400, chance=chance, per_batch=100))
    watched = Watched(site)
    Collection(PostgresQueue(site.connect()), watched, RULES).run(lambda: 60.0)
    assert sum(watched.sizes) == 2000
    assert 100 < max(watched.sizes) <= 500
    site.check(*jobs)


def test_slow_batch_extends_visibility_timeout(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    site.post(site.sent.batch("n1", [sample("1", utc_now(), chance)]))
    ticks = count()
    watched = Watched(site)
    Collection(
        PostgresQueue(site.connect(), visibility_seconds=1),
        watched,
        RULES,
        clock=lambda: utc_now() + next(ticks) * timedelta(seconds=20),
    ).run(lambda: 60.0)
    assert watched.hidden_for[0] > timedelta(seconds=100)
    site.check("1")


def test_messages_without_time_are_given_back(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    site.post(*many(site.sent, jobs=1, nodes=1, rounds=60, chance=chance, per_batch=3))
    calls = count()
    writer = PostgresSampleWriter(site.connect(), OperationTimings())
    report = Collection(PostgresQueue(site.connect()), writer, RULES).run(
        lambda: 60.0 if next(calls) < 9 else 5.0
    )
    depth = site.queue.depth()
    assert 0 < report.messages < 20
    assert (depth.visible, depth.in_flight) == (20 - report.messages, 0)
    site.collect()
    site.check("1")


def test_unavailable_database_leaves_messages_on_queue(site: Site, chance: random.Random) -> None:
    site.post(body("n1", [sample("1", utc_now(), chance)]))
    nowhere = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
    writer = PostgresSampleWriter(SingleConnection(connect_arguments(nowhere)), OperationTimings())
    with pytest.raises(UnavailableError):
        Collection(PostgresQueue(site.connect()), writer, RULES).run(lambda: 60.0)
    assert (site.queue.depth().visible, site.queue.depth().in_flight) == (1, 0)


def test_passes_are_one_interval_apart(site: Site) -> None:
    left = [58.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        left[0] -= seconds

    rules = CollectionRules(home_cluster="lab", interval_seconds=30, retention_days=7)
    writer = PostgresSampleWriter(site.connect(), OperationTimings())
    collection = Collection(PostgresQueue(site.connect()), writer, rules, sleep=sleep)
    assert collection.run(lambda: left[0]).passes == 2
    assert slept == [pytest.approx(30, abs=2)]
