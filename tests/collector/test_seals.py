"""Samples of dropped days are rejected with their reason, whatever the settings and clocks say."""

from __future__ import annotations

import logging
import random
from datetime import datetime, timedelta
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.samples import SEALED, Sample
from hpcobs.ports.clock import utc_now
from hpcobs.ports.rejected import RejectedFilter
from hpcobs.service.jobs import Jobs
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.timings import OperationTimings
from tests.collector.batches import body, sample
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.collector.conftest import Site

TODAY = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
OLD = TODAY - timedelta(days=3)
SEALS = TODAY - timedelta(days=1)


@pytest.fixture
def chance() -> random.Random:
    return random.Random(6)


def at(seconds: float) -> datetime:
    return OLD + timedelta(hours=5, seconds=seconds)


def made(seconds: float, chance: random.Random, **fields: Any) -> dict[str, Any]:
    return sample("1", at(seconds), chance, **fields)


def start(site: Site) -> None:
    site.start_jobs("1", timestamp=TODAY - timedelta(days=6))


def reasons(site: Site) -> list[str]:
    rows = site.query("SELECT reason FROM rejected_samples ORDER BY node, batch_id, position")
    return [reason for (reason,) in rows]


def test_repeats_of_dropped_days_count_once(site: Site, chance: random.Random) -> None:
    start(site)
    batch = body("n1", [made(0, chance), made(10, chance)])
    site.post(batch)
    site.collect(retention_days=7)
    before = site.statistics("1")
    site.drop_days(SEALS)
    for _ in range(2):
        site.post(batch)
        site.collect(retention_days=7)
    assert site.statistics("1") == before
    assert reasons(site) == [f"samples[{place}].timestamp: {SEALED}" for place in (0, 1)]
    assert site.counter("collector_rejected") == 2
    assert sum(point.count or 0 for point in site.hourly("1")) == 2


def test_new_samples_of_dropped_days_are_rejected(site: Site, chance: random.Random) -> None:
    start(site)
    site.post(body("n1", [made(0, chance)]))
    site.collect()
    site.drop_days(SEALS)
    # Late ones, one of today, and one of a node without samples, beside an earlier one.
    today = sample("1", utc_now(), chance)
    site.post(body("n1", [made(20, chance), today]), body("n2", [made(5, chance)]))
    site.collect(retention_days=30)
    assert reasons(site) == [f"samples[0].timestamp: {SEALED}"] * 2
    assert site.statistics("1")["sample_count"] == 2
    assert sum(point.count or 0 for point in site.hourly("1")) == 2
    partitions = PostgresExpiry(site.connection, OperationTimings()).partitions("metric_samples")
    assert min(partitions) >= SEALS.date()


def store_waiting(site: Site, chance: random.Random) -> None:
    site.post(body("n1", [made(0, chance, gpus=[])]))
    site.collect()
    start(site)


def store_new(site: Site, chance: random.Random) -> None:
    start(site)
    site.post(body("n1", [made(0, chance, gpus=[])]))


def store_late(site: Site, chance: random.Random) -> None:
    start(site)
    site.post(body("n1", [sample("1", utc_now(), chance)]))
    site.collect()
    site.post(body("n1", [made(0, chance, gpus=[])]))


WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def behind_drop(site: Site, database_url: str, store: Callable[[], object]) -> None:
    """Begin to store a sample while its day is being dropped. Then let the drop end."""
    site.query("SELECT ensure_day_partition('metric_samples', %s)", OLD.date())
    # Waiting samples were noted, although they may never be stored.
    site.query("DELETE FROM unrolled_hours")
    with psycopg.connect(database_url) as dropping:
        drop = "SELECT drop_sample_day('metric_samples', %s)"
        assert dropping.execute(drop, [OLD.date()]).fetchall() == [(True,)]
        storing = Thread(target=store)
        storing.start()
        eventually(lambda: site.query(WAITS) == [(1,)])
        dropping.commit()
    storing.join(WAIT_SECONDS)
    assert not storing.is_alive()


@pytest.mark.parametrize("prepare", [store_new, store_late, store_waiting])
def test_writer_behind_drop_sees_its_seal(
    site: Site,
    chance: random.Random,
    database_url: str,
    prepare: Callable[[Site, random.Random], None],
) -> None:
    prepare(site, chance)
    behind_drop(site, database_url, site.collect)
    assert reasons(site) == [f"samples[0].timestamp: {SEALED}"]
    assert site.query("SELECT count(*) FROM metric_samples WHERE job_id = '1'") in ([(0,)], [(1,)])
    assert site.query("SELECT to_regclass(%s)", f"metric_samples_{OLD:%Y%m%d}") == [(None,)]


def test_single_sample_behind_drop_raises(site: Site, database_url: str) -> None:
    start(site)
    jobs = Jobs(site.store, kept_days=30, stale_after=timedelta(hours=1))
    errors: list[InvalidInputError] = []

    def add() -> None:
        with pytest.raises(InvalidInputError) as raised:
            jobs.add_sample(Sample("1", at(0), "n1", 5, 5))
        errors.append(raised.value)

    behind_drop(site, database_url, add)
    assert [(error.field, error.details["reason"]) for error in errors] == [("timestamp", SEALED)]
    assert site.statistics("1")["sample_count"] == 0
    assert site.query("SELECT count(*) FROM rejected_samples") == [(0,)]


def test_day_is_not_dropped_below_writer(
    site: Site, chance: random.Random, database_url: str
) -> None:
    start(site)
    site.post(body("n1", [made(0, chance)]))
    expiry = PostgresExpiry(site.connection, OperationTimings(), sleep=lambda _: None)
    with psycopg.connect(database_url) as blocking:
        # What the writer updates last: it waits there, with its samples stored.
        blocking.execute("SELECT FROM job_nodes FOR UPDATE")
        collecting = Thread(target=site.collect)
        collecting.start()
        eventually(lambda: site.query(WAITS) == [(1,)])
        assert not expiry.drop_partition("metric_samples", OLD.date())
    collecting.join(WAIT_SECONDS)
    assert not expiry.drop_partition("metric_samples", OLD.date())
    site.drop_days(SEALS)
    assert site.statistics("1")["sample_count"] == 1
    assert sum(point.count or 0 for point in site.hourly("1")) == 1


@pytest.mark.parametrize("known", [True, False])
def test_dropped_readings_reject_their_sample(
    site: Site, chance: random.Random, *, known: bool
) -> None:
    if known:
        start(site)
    site.drop_days(SEALS, "gpu_samples")
    site.query("UPDATE rollup_states SET sealed_before = %s WHERE samples = 'gpu_samples'", SEALS)
    gpus = [{"gpu_id": "0", "gpu_vendor": "amd"}]
    site.post(body("n1", [made(0, chance, gpus=gpus), made(5, chance, gpus=[])]))
    site.collect()
    if not known:
        start(site)
        site.collect()
    assert site.statistics("1")["sample_count"] == 1
    assert reasons(site) == [f"samples[0].timestamp: {SEALED}"]
    assert site.query("SELECT count(*) FROM gpu_samples") == [(0,)]
    ((payload,),) = site.query("SELECT payload::jsonb -> 'gpus' FROM rejected_samples")
    assert payload == gpus


def test_single_sample_of_dropped_day_raises(site: Site, chance: random.Random) -> None:
    start(site)
    site.post(body("n1", [made(0, chance)]))
    site.collect()
    site.drop_days(SEALS)
    jobs = Jobs(site.store, kept_days=30, stale_after=timedelta(hours=1))
    for seconds in (0, 1):
        with pytest.raises(InvalidInputError, match=f"^timestamp: {SEALED}"):
            jobs.add_sample(Sample("1", at(seconds), "n1", 5, 5))
    assert site.statistics("1")["sample_count"] == 1


def test_replay_keeps_samples_of_dropped_days(site: Site, chance: random.Random) -> None:
    site.query("UPDATE rollup_states SET sealed_before = %s", SEALS)
    site.post(body("n1", [made(0, chance)]))
    site.collect()
    rows = "SELECT id, reason, rejected_at FROM rejected_samples"
    rejected = site.query(rows)
    done = site.rejected(retention_days=30).replay(RejectedFilter())
    assert (done.taken.stored, done.taken.waiting, done.kept) == (0, 0, 1)
    assert site.query(rows) == rejected


@pytest.mark.parametrize("days", [30, 1, -1, -30])
def test_wrong_clock_rejects_no_good_samples(
    site: Site, chance: random.Random, caplog: pytest.LogCaptureFixture, days: int
) -> None:
    site.start_jobs("1", timestamp=TODAY - timedelta(days=8))
    good = [sample("1", utc_now() - timedelta(days=ago), chance) for ago in (6, 3, 1, 0)]
    ahead = sample("1", utc_now() + timedelta(hours=1), chance)
    site.post(body("n1", [*good, ahead]), body("n1", [sample("404", utc_now(), chance)]))
    with caplog.at_level(logging.WARNING, logger="hpcobs.service.collection"):
        for _ in range(2):
            site.collect(clock=lambda: utc_now() + timedelta(days=days))
    assert site.statistics("1")["sample_count"] == len(good)
    assert reasons(site) == ["samples[4].timestamp: is from the future"]
    assert site.query("SELECT count(*) FROM waiting_samples") == [(1,)]
    lines = [record.message for record in caplog.records]
    assert len(lines) == 2
    assert ("ahead of" if days > 0 else "behind") in lines[0]


def test_agreeing_clocks_log_nothing(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.collect(clock=lambda: utc_now() + timedelta(seconds=30))
    assert caplog.records == []
