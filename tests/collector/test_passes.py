"""A pass of the collector ends, fits into memory, keeps to its time, leaves no message hanging."""

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


def test_a_run_stops_in_time_and_leaves_the_rest_for_the_next(
    site: Site, chance: random.Random
) -> None:
    site.start_jobs("1")
    site.post(site.sent.batch("n1", [sample("1", utc_now(), chance)]))
    sink = PostgresSampleWriter(site.connect(), OperationTimings())
    hurried = Collection(PostgresQueue(site.connect()), sink, RULES).run(lambda: 5.0)
    assert hurried.messages == 0
    site.collect()
    site.check("1")


class Busy(PostgresQueue):
    """A queue to which somebody sends whenever it is looked at."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        super().__init__(site.connect())
        self._site = site
        self._chance = chance
        self.looks = 0

    def receive(self, *, limit: int) -> Sequence[Message]:
        self.looks += 1
        self._site.post(self._site.sent.batch("n1", [sample("1", utc_now(), self._chance)]))
        return super().receive(limit=limit)


def test_a_pass_ends_though_samples_keep_coming(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    site.post(site.sent.batch("n1", [sample("1", utc_now(), chance)]))
    queue = Busy(site, chance)
    sink = PostgresSampleWriter(site.connect(), OperationTimings())
    assert Collection(queue, sink, RULES).run(lambda: 60.0).passes == 1
    assert queue.looks < 4
    site.check("1")


class Watched:
    """A sink that tells what it was asked to store, and how the queue looked then."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._sink = PostgresSampleWriter(site.connect(), OperationTimings())
        self.sizes: list[int] = []
        self.hidden_for: list[timedelta] = []

    def store(self, drain: WriteBatch) -> Stored:
        self.sizes.append(len(drain.samples))
        ((hidden,),) = self._site.query("SELECT min(visible_at) - now() FROM sample_queue")
        self.hidden_for.append(hidden)
        return self._sink.store(drain)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sink, name)


def test_a_backlog_of_large_batches_is_taken_by_loads_that_fit_into_memory(
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


def test_messages_that_are_held_for_long_stay_hidden_from_others(
    site: Site, chance: random.Random
) -> None:
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


def test_what_there_is_no_time_for_is_given_back_at_once(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    site.post(*many(site.sent, jobs=1, nodes=1, rounds=60, chance=chance, per_batch=3))
    looks = count()
    sink = PostgresSampleWriter(site.connect(), OperationTimings())
    report = Collection(PostgresQueue(site.connect()), sink, RULES).run(
        lambda: 60.0 if next(looks) < 9 else 5.0
    )
    depth = site.queue.depth()
    assert 0 < report.messages < 20
    assert (depth.visible, depth.in_flight) == (20 - report.messages, 0)
    site.collect()
    site.check("1")


def test_while_the_database_is_away_nothing_is_taken_from_the_queue(
    site: Site, chance: random.Random
) -> None:
    site.post(body("n1", [sample("1", utc_now(), chance)]))
    nowhere = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
    sink = PostgresSampleWriter(SingleConnection(connect_arguments(nowhere)), OperationTimings())
    with pytest.raises(UnavailableError):
        Collection(PostgresQueue(site.connect()), sink, RULES).run(lambda: 60.0)
    assert (site.queue.depth().visible, site.queue.depth().in_flight) == (1, 0)


def test_passes_are_an_interval_apart(site: Site) -> None:
    left = [58.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        left[0] -= seconds

    rules = CollectionRules(home_cluster="lab", interval_seconds=30, retention_days=7)
    sink = PostgresSampleWriter(site.connect(), OperationTimings())
    collection = Collection(PostgresQueue(site.connect()), sink, rules, sleep=sleep)
    assert collection.run(lambda: left[0]).passes == 2
    assert slept == [pytest.approx(30, abs=2)]
