"""What was set aside is taken in after all, once, if it is good by now; the rest stays."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.collector.handler import lambda_handler
from hpcobs import bootstrap
from hpcobs.domain.errors import InvalidInputError
from hpcobs.ports.clock import utc_now
from hpcobs.ports.rejected import RejectedFilter
from hpcobs.service import rejected as service
from hpcobs.service.collection import WAIT_FOR_JOB
from hpcobs.service.rejected import Rejected, Replay
from hpcobs.storage.rejected import PostgresRejected
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.timings import OperationTimings
from tests.collector.batches import body, sample
from tests.collector.conftest import RULES, Site

ALL = RejectedFilter()

Ask = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def chance() -> random.Random:
    return random.Random(4)


@pytest.fixture
def ask(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """Calls the function by hand, as an operator does."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DB_MAX_CONNS", "1")
    bootstrap.reset()
    yield lambda event: lambda_handler(event, None)
    bootstrap.reset()


def rejected(site: Site, **rules: Any) -> Rejected:
    timings = OperationTimings()
    connection = site.connect()
    return Rejected(
        PostgresRejected(connection, timings),
        PostgresSampleWriter(connection, timings),
        replace(RULES, **rules),
    )


def counts(done: Replay) -> tuple[int, int, int, int]:
    return done.taken.stored, done.taken.duplicates, done.taken.waiting, done.kept


def given_up(site: Site, *batches: bytes) -> None:
    """Samples whose job was not heard of in time."""
    site.post(*batches)
    site.collect()
    site.query("UPDATE waiting_samples SET since = since - %s", WAIT_FOR_JOB)
    site.collect()


def test_samples_whose_start_was_heard_too_late_are_taken_in_with_their_gpus(
    site: Site, chance: random.Random
) -> None:
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(10)]
    given_up(site, site.sent.batch("n1", samples), site.sent.batch("n2", samples))
    listed, total = rejected(site).page(ALL, limit=5)
    assert (len(listed), total) == (5, 20)
    assert listed[0].sample.reason == "job_id: no such job was heard of"
    assert counts(rejected(site).replay(ALL)) == (0, 0, 20, 0)
    site.start_jobs("1", nodes=("n1", "n2"))
    site.collect()
    site.check("1")
    with_gpus = sum("gpus" in entry for entry in samples)
    assert site.query("SELECT count(*) FROM gpu_samples") == [(2 * with_gpus,)]
    assert rejected(site).page(ALL, limit=5) == ([], 0)


def test_a_replay_stores_what_it_can_at_once_and_each_sample_once(
    site: Site, chance: random.Random
) -> None:
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(6)]
    given_up(site, site.sent.batch("n1", samples))
    site.start_jobs("1")
    site.post(body("n1", samples[:2]))
    site.collect()
    assert counts(rejected(site).replay(ALL)) == (4, 2, 0, 0)
    site.check("1")


def test_what_is_wrong_still_stays_with_its_reason(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    good, bad = sample("1", now, chance), sample("1", now, chance, cpu_usage=200)
    site.post(body("n1", [good, bad]))
    site.collect()
    assert counts(rejected(site).replay(ALL)) == (0, 0, 0, 1)
    ((listed,), _) = rejected(site).page(ALL, limit=5)
    assert listed.sample.reason.startswith("samples[1].cpu_usage")
    assert site.counter("collector_rejected") == 1


def test_what_is_wrong_for_good_does_not_stand_in_the_way_of_what_came_later(
    site: Site, chance: random.Random
) -> None:
    site.start_jobs("1")
    now = utc_now()
    wrong = [sample("1", now - timedelta(seconds=n), chance, cpu_usage=200) for n in range(4)]
    site.post(body("n1", [*wrong, sample("1", now, chance)]))
    late = [sample("2", now - timedelta(seconds=n), chance) for n in range(3)]
    given_up(site, site.sent.batch("n1", late))
    site.start_jobs("2")
    assert counts(rejected(site).replay(ALL, limit=2)) == (2, 0, 0, 4)
    assert counts(rejected(site).replay(ALL, limit=2)) == (1, 0, 0, 4)
    assert site.statistics("2")["sample_count"] == 3


def test_a_replay_of_many_goes_on_page_by_page(
    site: Site, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_AT_ONCE", 4)
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(15)]
    given_up(site, site.sent.batch("n1", samples))
    site.start_jobs("1")
    assert counts(rejected(site).replay(ALL, limit=10)) == (10, 0, 0, 0)
    assert counts(rejected(site).replay(ALL, limit=10)) == (5, 0, 0, 0)
    site.check("1")


def test_samples_of_another_cluster_that_came_too_late_are_taken_in_when_more_is_kept(
    site: Site, chance: random.Random
) -> None:
    site.start_jobs("1", cluster_name="other", timestamp=utc_now() - timedelta(days=20))
    old = sample("1", utc_now() - timedelta(days=8), chance)
    site.post(body("n1", [old], cluster_name="other"))
    site.collect()
    assert counts(rejected(site).replay(ALL)) == (0, 0, 0, 1)
    assert counts(rejected(site, retention_days=10).replay(ALL)) == (1, 0, 0, 0)
    assert site.statistics("other.1")["sample_count"] == 1


def test_only_what_matches_is_listed_and_replayed(site: Site, chance: random.Random) -> None:
    for job_id, node in (("1", "n1"), ("2", "n1"), ("2", "n2")):
        given_up(site, body(node, [sample(job_id, utc_now(), chance)]))
    of = rejected(site)
    assert of.page(RejectedFilter(job_id="2"), limit=9)[1] == 2
    assert of.page(RejectedFilter(node="n1"), limit=9)[1] == 2
    assert of.page(RejectedFilter(reason="no such job"), limit=9)[1] == 3
    assert of.page(RejectedFilter(reason="100%"), limit=9)[1] == 0
    assert counts(of.replay(RejectedFilter(job_id="2", node="n2"))) == (0, 0, 1, 0)
    assert of.page(ALL, limit=9)[1] == 2


def test_an_operator_asks_the_function_where_the_database_is_out_of_reach(
    site: Site, ask: Ask, chance: random.Random
) -> None:
    given_up(site, body("n1", [sample("1", utc_now(), chance)]))
    told = ask({"rejected": "list", "node": "n1"})
    assert (told["total"], told["rejected"][0]["job_id"]) == (1, "1")
    assert ask({"rejected": "list", "node": "n2"})["total"] == 0
    assert ask({"rejected": "replay"})["taken"]["waiting"] == 1


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"rejected": "replay", "job": "1"}, "job"),
        ({"rejected": "reply"}, "rejected"),
        ({"rejected": "replay", "job_id": 1}, "job_id"),
    ],
    ids=["unknown field", "unknown wish", "wrong type"],
)
def test_a_wish_with_a_typing_error_moves_nothing(
    site: Site, ask: Ask, event: dict[str, Any], field: str, chance: random.Random
) -> None:
    given_up(site, body("n1", [sample("1", utc_now(), chance)]))
    with pytest.raises(InvalidInputError, match=f"^{field}: "):
        ask(event)
    assert rejected(site).page(ALL, limit=5)[1] == 1
