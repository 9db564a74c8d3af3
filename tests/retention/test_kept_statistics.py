"""Statistics keep what was counted where an event cannot change it, or its samples are gone."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.jobs import Resources
from hpcobs.domain.samples import Sample
from hpcobs.service.job_events import JobEvents
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, ORIGIN, at, scheduler_job, started
from tests.retention.rolling import write_batch
from tests.retention.runs import retain_a_day

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.domain.jobs import Job, Usage
    from hpcobs.storage.connections import SingleConnection
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query

pytestmark = pytest.mark.usefixtures("clock_at_t0")

DAYS = 86_400
RUN = 200
"""The beginning of the requeued run, within an interval of five minutes."""


class Site:
    """Job 1, requeued once, with samples over ten days of which most are dropped."""

    def __init__(self, connect: Callable[[], SingleConnection], store: PostgresStore) -> None:
        self.store = store
        self.connection = connect()
        self.events = JobEvents(store, ORIGIN, clock=lambda: at(10 * DAYS))
        self.start(RUN, restart_count=1)
        samples = [
            Sample("1", at(second), "n1", 100 if second == RUN else 1, 50, gpu_usage=7)
            for second in range(RUN, 10 * DAYS, 1800)
        ]
        self.count = len(samples)
        PostgresSampleWriter(self.connection, OperationTimings()).store(write_batch(samples))
        retain_a_day(self.connection, hours=9 * 24)

    def start(self, seconds: float, **fields: Any) -> None:
        self.events.job_started(started(seconds, **fields), AUDIT)

    def view(self, begun: float, **fields: Any) -> None:
        given = {"start_time": at(begun), "restart_count": 1, **fields}
        self.events.sync([scheduler_job("RUNNING", 10 * DAYS, **given)], [], AUDIT)

    def job(self) -> Job:
        job = self.store.jobs.get("1")
        assert job is not None
        return job

    def usage(self) -> Usage:
        return self.job().usage


@pytest.fixture
def site(connect: Callable[[], SingleConnection], store: PostgresStore) -> Site:
    return Site(connect, store)


def test_late_prolog_keeps_counted_samples(site: Site) -> None:
    before = site.usage()
    assert (before.sample_count, before.max_cpu_usage) == (site.count, 100)
    site.start(-3000, restart_count=1)
    assert site.job().start_time == at(-3000)
    assert site.usage() == before


@pytest.mark.parametrize("begun", [RUN - 1, RUN + 1, RUN - 3600])
def test_truer_start_keeps_counted_samples(site: Site, begun: float) -> None:
    before = site.usage()
    site.view(begun)
    assert site.job().statistics_since == at(begun)
    assert site.usage() == before


def test_later_start_leaves_out_what_was_before(site: Site) -> None:
    before = site.usage()
    site.view(DAYS)
    after = site.usage()
    assert (after.sample_count, after.max_cpu_usage) == (site.count - 48, 1)
    # The last sample is the same one.
    assert (after.last_sample_at, after.cpu_usage) == (before.last_sample_at, before.cpu_usage)


def test_last_values_stay_without_raw_samples(site: Site) -> None:
    before = site.usage()
    retain_a_day(site.connection, hours=13 * 24)
    site.view(2 * DAYS)
    after = site.usage()
    assert after.sample_count == site.count - 96
    assert (after.last_sample_at, after.cpu_usage) == (before.last_sample_at, before.cpu_usage)
    assert (after.memory_usage_mb, after.gpu_usage) == (50, 7)


def test_dropped_roll_ups_leave_counted_samples(site: Site, query: Query) -> None:
    before = site.usage()
    for table in ("metric_rollups", "gpu_rollups"):
        query("UPDATE public.test_clock SET shown = '2026-12-01Z'")
        assert query(f"SELECT drop_partition('{table}', '2026-11-01')") == [(True,)]
    site.view(DAYS)
    assert site.job().statistics_since == at(DAYS)
    assert site.usage() == before


def test_earlier_start_restores_readings_of_gpus(site: Site, query: Query) -> None:
    site.view(10 * DAYS - 1, restart_count=2)
    query("DELETE FROM job_gpus")
    retain_a_day(site.connection, hours=13 * 24)
    site.view(0, restart_count=2)
    assert site.usage().sample_count == site.count
    ((sampled_at, used),) = query("SELECT sampled_at, utilization_percent FROM job_gpus")
    last = at(RUN + (site.count - 1) * 1800)
    assert timedelta() <= last - sampled_at < timedelta(minutes=5)
    assert used == 7


def test_unchanged_boundary_reads_no_samples(site: Site, query: Query) -> None:
    # Whoever counted again would count nothing.
    query("TRUNCATE metric_samples, metric_rollups")
    before = site.usage()
    cpus = Resources(allocated_cpus=4, cpus_per_node=(4,))
    site.start(RUN, restart_count=1, name="named", resources=cpus)
    assert site.job().name == "named"
    assert site.usage() == before
