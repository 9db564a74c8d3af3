"""Rejected samples that are good by now are replayed, each once. The others stay rejected."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from functions.collector.handler import lambda_handler
from hpcobs import bootstrap
from hpcobs.domain.errors import InvalidInputError
from hpcobs.ports.clock import utc_now
from hpcobs.ports.rejected import RejectedFilter
from hpcobs.service import rejected as service
from hpcobs.service.rejected import Replay
from tests.collector.batches import body, sample
from tests.collector.conftest import Site

ALL = RejectedFilter()

Invoke = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def chance() -> random.Random:
    return random.Random(4)


@pytest.fixture
def invoke(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """Return a function that invokes the collector by hand, as an operator does."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DB_MAX_CONNS", "1")
    bootstrap.reset()
    yield lambda event: lambda_handler(event, None)
    bootstrap.reset()


def counts(done: Replay) -> tuple[int, int, int, int]:
    return done.taken.stored, done.taken.duplicates, done.taken.waiting, done.kept


def reject_overdue(site: Site, *batches: bytes) -> None:
    """Reject samples, because their job stays unknown for too long."""
    site.post(*batches)
    site.collect()
    site.age_waiting()
    site.collect()


def test_replay_stores_overdue_samples_with_gpus(site: Site, chance: random.Random) -> None:
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(10)]
    reject_overdue(site, site.sent.batch("n1", samples), site.sent.batch("n2", samples))
    listed, total = site.rejected().page(ALL, limit=5)
    assert (len(listed), total) == (5, 20)
    assert listed[0].sample.reason == "job_id: no such job was reported"
    assert counts(site.rejected().replay(ALL)) == (0, 0, 20, 0)
    site.start_jobs("1", nodes=("n1", "n2"))
    site.collect()
    site.check("1")
    with_gpus = sum("gpus" in entry for entry in samples)
    assert site.query("SELECT count(*) FROM gpu_samples") == [(2 * with_gpus,)]
    assert site.rejected().page(ALL, limit=5) == ([], 0)


def test_replay_stores_each_good_sample_once(site: Site, chance: random.Random) -> None:
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(6)]
    reject_overdue(site, site.sent.batch("n1", samples))
    site.start_jobs("1")
    site.post(body("n1", samples[:2]))
    site.collect()
    assert counts(site.rejected().replay(ALL)) == (4, 2, 0, 0)
    site.check("1")


def test_still_bad_sample_stays_rejected(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    good, bad = sample("1", now, chance), sample("1", now, chance, cpu_usage=200)
    site.post(body("n1", [good, bad]))
    site.collect()
    assert counts(site.rejected().replay(ALL)) == (0, 0, 0, 1)
    ((listed,), _) = site.rejected().page(ALL, limit=5)
    assert listed.sample.reason.startswith("samples[1].cpu_usage")
    assert site.counter("collector_rejected") == 1


def test_bad_samples_hide_no_later_ones(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    wrong = [sample("1", now - timedelta(seconds=n), chance, cpu_usage=200) for n in range(4)]
    site.post(body("n1", [*wrong, sample("1", now, chance)]))
    late = [sample("2", now - timedelta(seconds=n), chance) for n in range(3)]
    reject_overdue(site, site.sent.batch("n1", late))
    site.start_jobs("2")
    assert counts(site.rejected().replay(ALL, limit=2)) == (2, 0, 0, 4)
    assert counts(site.rejected().replay(ALL, limit=2)) == (1, 0, 0, 4)
    assert site.statistics("2")["sample_count"] == 3


def test_replay_continues_over_pages(
    site: Site, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_AT_ONCE", 4)
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(15)]
    reject_overdue(site, site.sent.batch("n1", samples))
    site.start_jobs("1")
    assert counts(site.rejected().replay(ALL, limit=10)) == (10, 0, 0, 0)
    assert counts(site.rejected().replay(ALL, limit=10)) == (5, 0, 0, 0)
    site.check("1")


def test_longer_retention_admits_old_foreign_samples(site: Site, chance: random.Random) -> None:
    site.start_jobs("1", cluster_name="other", timestamp=utc_now() - timedelta(days=20))
    old = sample("1", utc_now() - timedelta(days=8), chance)
    site.post(body("n1", [old], cluster_name="other"))
    site.collect()
    assert counts(site.rejected().replay(ALL)) == (0, 0, 0, 1)
    assert counts(site.rejected(retention_days=10).replay(ALL)) == (1, 0, 0, 0)
    assert site.statistics("other.1")["sample_count"] == 1


def test_filter_limits_listing_and_replay(site: Site, chance: random.Random) -> None:
    for job_id, node in (("1", "n1"), ("2", "n1"), ("2", "n2")):
        reject_overdue(site, body(node, [sample(job_id, utc_now(), chance)]))
    of = site.rejected()
    assert of.page(RejectedFilter(job_id="2"), limit=9)[1] == 2
    assert of.page(RejectedFilter(node="n1"), limit=9)[1] == 2
    assert of.page(RejectedFilter(reason="no such job"), limit=9)[1] == 3
    assert of.page(RejectedFilter(reason="100%"), limit=9)[1] == 0
    assert counts(of.replay(RejectedFilter(job_id="2", node="n2"))) == (0, 0, 1, 0)
    assert of.page(ALL, limit=9)[1] == 2


def test_operator_replays_by_invoking_function(
    site: Site, invoke: Invoke, chance: random.Random
) -> None:
    reject_overdue(site, body("n1", [sample("1", utc_now(), chance)]))
    listed = invoke({"rejected": "list", "node": "n1"})
    assert (listed["total"], listed["rejected"][0]["job_id"]) == (1, "1")
    assert invoke({"rejected": "list", "node": "n2"})["total"] == 0
    assert invoke({"rejected": "replay"})["taken"]["waiting"] == 1


@pytest.mark.parametrize(
    ("event", "field"),
    [
        ({"rejected": "replay", "job": "1"}, "job"),
        ({"rejected": "reply"}, "rejected"),
        ({"rejected": "replay", "job_id": 1}, "job_id"),
    ],
    ids=["unknown field", "unknown command", "wrong type"],
)
def test_misspelt_request_replays_nothing(
    site: Site, invoke: Invoke, event: dict[str, Any], field: str, chance: random.Random
) -> None:
    reject_overdue(site, body("n1", [sample("1", utc_now(), chance)]))
    with pytest.raises(InvalidInputError, match=f"^{field}: "):
        invoke(event)
    assert site.rejected().page(ALL, limit=5)[1] == 1
