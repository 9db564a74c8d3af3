"""A batch's id is its sender's: other senders and other content with the same id are kept apart."""

from __future__ import annotations

import json
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.ports.clock import utc_now
from hpcobs.ports.rejected import RejectedFilter
from hpcobs.service import rejected as service
from tests.collector.batches import body, sample
from tests.collector.senders import batch_id

if TYPE_CHECKING:
    from tests.collector.conftest import Site

ALL = RejectedFilter()
ONE_ID = {"batch_id": batch_id(7)}
SENDERS: list[tuple[str | None, str]] = [(None, "n1"), (None, "n2"), ("b", "n1"), ("c", "n1")]


@pytest.fixture
def chance() -> random.Random:
    return random.Random(8)


def post(site: Site, sender: tuple[str | None, str], samples: list[dict[str, Any]]) -> None:
    cluster, node = sender
    named = {} if cluster is None else {"cluster_name": cluster}
    site.post(body(node, samples, **ONE_ID, **named))


def overdue(site: Site) -> None:
    site.collect()
    site.age_waiting()
    site.collect()


def kept(site: Site) -> list[tuple[Any, ...]]:
    columns = "cluster_name, node, position, job_id"
    return site.query(f"SELECT {columns} FROM rejected_samples ORDER BY {columns}")


def test_unknown_jobs_of_all_senders_are_kept(site: Site, chance: random.Random) -> None:
    now = utc_now()
    samples = [sample("1", now - timedelta(seconds=n), chance) for n in range(10)]
    for sender in SENDERS:
        post(site, sender, samples)
    overdue(site)
    found = kept(site)
    assert sorted(found, key=str) == sorted(
        ((*sender, place, "1") for sender in SENDERS for place in range(10)), key=str
    )
    site.start_jobs("1", nodes=("n1", "n2"))
    for cluster in ("b", "c"):
        site.start_jobs("1", cluster_name=cluster)
    done = site.rejected().replay(ALL)
    assert (done.taken.stored, done.kept) == (40, 0)
    for job_id, count in (("1", 20), ("b.1", 10), ("c.1", 10)):
        assert site.statistics(job_id)["sample_count"] == count
    assert kept(site) == []


def test_other_content_of_same_sender_is_kept(site: Site, chance: random.Random) -> None:
    site.start_jobs("1")
    now = utc_now()
    for cpu in (200, 300, 200):
        bad = sample("1", now, chance, cpu_usage=cpu, memory_usage_mb=cpu, gpu_usage=None, gpus=[])
        post(site, (None, "n1"), [bad, sample("1", now - timedelta(seconds=cpu), chance)])
    site.collect()
    payloads = site.query("SELECT payload FROM rejected_samples ORDER BY id")
    assert [json.loads(payload)["cpu_usage"] for (payload,) in payloads] == [200, 300]
    assert site.counter("collector_rejected") == 2
    assert site.statistics("1")["sample_count"] == 2


def test_one_sample_is_rejected_once_for_any_reason(site: Site, chance: random.Random) -> None:
    at = utc_now() - timedelta(days=2)
    late = sample("1", at, chance, gpus=[{"gpu_id": name, "gpu_vendor": "amd"} for name in "10"])
    # The same time with another offset, and a whole number written as a fraction.
    late |= {"timestamp": at.astimezone().isoformat(), "cpu_usage": 50.0}
    post(site, ("b", "n1"), [late])
    overdue(site)
    post(site, ("b", "n1"), [late])
    site.collect(retention_days=1)
    site.query("UPDATE rollup_states SET sealed_before = %s", at + timedelta(days=1))
    site.start_jobs("1", cluster_name="b", timestamp=at)
    post(site, ("b", "n1"), [late])
    site.collect()
    assert kept(site) == [("b", "n1", 0, "1")]
    assert site.counter("collector_rejected") == 1


def test_pages_show_all_samples_of_one_batch(
    site: Site, chance: random.Random, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_AT_ONCE", 3)
    now = utc_now()
    for sender in SENDERS:
        post(site, sender, [sample("1", now, chance), sample("1", now, chance, cpu_usage=200)])
    overdue(site)
    site.start_jobs("1", nodes=("n1", "n2"))
    done = site.rejected().replay(ALL)
    assert (done.taken.stored, done.taken.waiting, done.kept) == (2, 2, 4)
    listed, total = site.rejected().page(ALL, limit=9)
    assert (len(listed), total) == (4, 4)


def test_replay_of_one_node_keeps_others(site: Site, chance: random.Random) -> None:
    for sender in SENDERS:
        post(site, sender, [sample("1", utc_now(), chance)])
    overdue(site)
    assert site.rejected().replay(RejectedFilter(node="n2")).taken.waiting == 1
    assert [row[:2] for row in kept(site)] == [("b", "n1"), ("c", "n1"), (None, "n1")]


def test_samples_waiting_since_older_version_are_kept(site: Site, chance: random.Random) -> None:
    post(site, ("b", "n1"), [sample("1", utc_now(), chance)])
    site.collect()
    # The version before stored neither the cluster nor the reported id.
    site.query("UPDATE waiting_samples SET cluster_name = NULL, reported_id = NULL")
    overdue(site)
    assert kept(site) == [(None, "n1", 0, "b.1")]
    site.start_jobs("1", cluster_name="b")
    assert site.rejected().replay(ALL).taken.stored == 1
