"""What roll-ups answer is what the samples would have answered, whenever they were rolled up."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from datetime import datetime, timedelta
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.domain.queries import SeriesQuery
from hpcobs.domain.samples import Sample
from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, T0, running_job
from tests.clocks import set_database_clock
from tests.retention.rolling import expected, write_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SPAN = 4 * 3600
DAY = T0.replace(hour=0)

# Eighths add up exactly in any order.
percents = st.integers(0, 800).map(lambda eighths: eighths / 8)
offsets = st.integers(0, SPAN - 1)
taken = st.tuples(
    offsets,
    st.sampled_from(["n1", "n2"]),
    percents,
    st.integers(0, 512_000),
    st.none() | percents,
)
Taken = tuple[int, str, float, int, float | None]

# Each step stores samples and then rolls up the hours before one of them, or none.
steps = st.lists(st.tuples(st.lists(taken, max_size=12), st.integers(0, 4)), max_size=5)
bounds = st.none() | offsets | st.integers(0, SPAN // 300).map(lambda number: number * 300)
resolutions = st.sampled_from([300, 600, 900, 1800, 3600, 7200, 60, 420])


@dataclass(frozen=True)
class Known:
    """The stored samples and GPU readings. The first sample of a key counts, with its readings."""

    samples: dict[tuple[object, ...], Sample] = field(default_factory=dict)
    readings: dict[tuple[object, ...], Sample] = field(default_factory=dict)

    def add(self, samples: Sequence[Sample]) -> None:
        for sample in samples:
            if sample[:3] in self.samples:
                continue
            self.samples[sample[:3]] = sample
            if sample.gpu_usage is not None:
                self.readings[sample[:3]] = sample


class Site:
    """The parts of the store. Each example's job runs on another day, later than the last."""

    def __init__(self, url: str) -> None:
        self.connection = SingleConnection(connect_arguments(Settings(database_url=url)))
        timings = OperationTimings()
        self.store = PostgresStore(self.connection, timings)
        self.writer = PostgresSampleWriter(self.connection, timings)
        self.rollups = PostgresRollups(self.connection, timings)
        self.expiry = PostgresExpiry(self.connection, timings)
        self.days = (DAY + timedelta(days=number) for number in count())

    def add(self, samples: Sequence[Sample], known: Known) -> None:
        self.writer.store(write_batch(samples))
        known.add(samples)

    def roll(self, before: datetime) -> None:
        for hour in self.rollups.due(before):
            assert self.rollups.roll(hour)

    def drop(self, day: datetime) -> None:
        for table in ("metric_samples", "gpu_samples"):
            if day.date() in self.expiry.partitions(table):
                assert self.expiry.drop_partition(table, day.date())


@pytest.fixture(scope="module")
def site(module_database_url: str) -> Iterator[Site]:
    set_database_clock(module_database_url, T0 + timedelta(days=1000))
    site = Site(module_database_url)
    yield site
    site.connection.close()


def check(site: Site, job_id: str, known: Known, query: SeriesQuery) -> None:
    points, total = site.store.samples.series(job_id, query)
    wanted = expected(known.samples.values(), query)
    assert figures(points, astuple) == figures(wanted, astuple)
    assert total == len(wanted)
    gpus, _ = site.store.samples.gpu_series(job_id, query)
    for node in ("n1", "n2"):
        read = [reading for reading in known.readings.values() if reading.node == node]
        found = figures([gpu for gpu in gpus if gpu.node == node], OF_GPU)
        assert found == figures(expected(read, query), AS_GPU)


OF_GPU = attrgetter(
    *("timestamp", "utilization_percent", "utilization_percent_max", "memory_used_mb"),
    *("memory_used_mb_max", "count"),
)
AS_GPU = attrgetter(
    *("timestamp", "gpu_usage", "gpu_usage_max", "memory_usage_mb", "memory_usage_mb_max", "count")
)


def figures(points: Sequence[Any], of: Callable[[Any], tuple[Any, ...]]) -> list[list[Any]]:
    """Return the points' values, rounded as far as divisions in PostgreSQL and Python agree."""
    return [
        [round(value, 9) if isinstance(value, float) else value for value in of(point)]
        for point in points
    ]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=steps, requested=st.tuples(bounds, bounds, resolutions, st.sampled_from([None, "n1"])))
def test_series_from_roll_ups_equals_samples(
    site: Site,
    steps: list[tuple[list[Taken], int]],
    requested: tuple[int | None, int | None, int, str | None],
) -> None:
    day = next(site.days)
    job_id = str(day.date())
    site.store.jobs.create(running_job(job_id=job_id, timestamp=day, nodes=("n1", "n2")), AUDIT)
    start, end, resolution, node = requested
    query = SeriesQuery(
        start=None if start is None else day + timedelta(seconds=start),
        end=None if end is None else day + timedelta(seconds=end),
        resolution_seconds=resolution,
        node=node,
        limit=10_000,
    )
    known = Known()
    for batch, hours in steps:
        samples = [Sample(job_id, day + timedelta(seconds=one[0]), *one[1:]) for one in batch]
        site.add(samples, known)
        site.roll(day + timedelta(hours=hours))
        check(site, job_id, known, query)
    site.roll(day + timedelta(days=1))
    check(site, job_id, known, query)
    site.drop(day)
    whole = SeriesQuery(resolution_seconds=max(300, resolution - resolution % 300), limit=10_000)
    check(site, job_id, known, whole)
    assert site.store.samples.series(job_id, SeriesQuery()) == ([], 0)
