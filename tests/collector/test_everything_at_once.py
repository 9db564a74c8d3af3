"""Collectors, events, deletions and retention run at the same time without a deadlock."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING

import pytest

from hpcobs.ports.clock import utc_now
from hpcobs.service.retention import Retention, RetentionLimits
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, finished, started
from tests.collector.batches import body, sample
from tests.collector.test_properties import recomputed

if TYPE_CHECKING:
    from hpcobs.storage.store import PostgresStore
    from tests.collector.conftest import Site

ROUNDS = 60
JOBS = [str(number) for number in range(1, 9)]
NODES = ("n1", "n2", "n3")


class Workload:
    """The kinds of work at a site, each for a thread."""

    def __init__(self, site: Site, store: PostgresStore) -> None:
        self.site = site
        self.store = store
        self.done = Event()

    def send(self) -> None:
        chance = random.Random(11)
        for number in range(ROUNDS):
            ago = timedelta(minutes=5 * (number % 40))
            samples = [
                sample(job, utc_now() - ago - timedelta(seconds=n), chance)
                for n in range(3)
                for job in chance.sample([*JOBS, "unknown"], 5)
            ]
            samples.append(sample("1", utc_now(), chance, cpu_usage=101))
            batch = body(chance.choice(NODES), samples)
            self.site.post(batch, batch)

    def report_events(self) -> None:
        chance = random.Random(12)
        for number in range(ROUNDS):
            job, at = chance.choice(JOBS), utc_now() - timedelta(hours=4 - number / ROUNDS)
            start = started(job_id=job, nodes=NODES, timestamp=at, restart_count=number // 10)
            self.site.events.job_started(start, AUDIT)
            node = chance.choice(NODES)
            end = finished(job_id=job, user="ada", nodes=NODES, node=node, timestamp=utc_now())
            self.site.events.job_finished(end, AUDIT)

    def remove(self) -> None:
        chance = random.Random(13)
        for _ in range(ROUNDS):
            self.store.jobs.delete(chance.choice(JOBS), AUDIT)

    def collect(self) -> None:
        while not self.done.is_set():
            self.site.collect()

    def retain(self) -> None:
        connection = self.site.connect()
        limits = RetentionLimits(samples_days=7, rollup_days=400, audit_days=400)
        expiry = PostgresExpiry(connection, OperationTimings(), sleep=lambda _: None)
        rollups = PostgresRollups(connection, OperationTimings())
        while not self.done.is_set():
            expiry.ensure_partition("metric_samples", utc_now().date() - timedelta(days=9))
            Retention(expiry, rollups, limits).run(lambda: 60.0)


def test_parallel_writers_cause_no_deadlock(site: Site, store: PostgresStore) -> None:
    workload = Workload(site, store)
    with ThreadPoolExecutor(6) as pool:
        repeated = [workload.collect, workload.collect, workload.retain]
        limited = [workload.send, workload.report_events, workload.remove]
        endless = [pool.submit(work) for work in repeated]
        bounded = [pool.submit(work) for work in limited]
        try:
            for work in bounded:
                work.result()
        finally:
            workload.done.set()
        for work in endless:
            work.result()
    site.collect()
    known = site.query("SELECT id FROM jobs")
    assert known
    for (job_id,) in known:
        assert site.statistics(job_id) == pytest.approx(recomputed(site, job_id))
    without_job = "SELECT FROM metric_samples WHERE job_id NOT IN (SELECT id FROM jobs)"
    assert site.query(without_job) == []
