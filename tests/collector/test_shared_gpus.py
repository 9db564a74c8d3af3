"""A GPU that several jobs use is marked as shared, from the batch to the job's series."""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.queries import SeriesQuery
from hpcobs.domain.samples import hour_of
from hpcobs.ports.clock import utc_now
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.timings import OperationTimings
from tests.collector.batches import body

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import SingleConnection
    from hpcobs.storage.store import PostgresStore
    from tests.collector.conftest import Site

MARKS = [True, False, None]
HOUR = hour_of(utc_now()) - timedelta(hours=4)


def reading(minutes: int, **gpu: Any) -> dict[str, Any]:
    """Make a sample with one GPU, taken in a minute of an hour that is over."""
    known = {name: value for name, value in gpu.items() if value is not None}
    return {
        "job_id": "1",
        "timestamp": (HOUR + timedelta(minutes=minutes)).isoformat(),
        "cpu_usage": 1,
        "memory_usage_mb": 1,
        "gpus": [{"gpu_id": "0", "gpu_vendor": "nvidia", "utilization_percent": 5, **known}],
    }


@pytest.mark.parametrize(("known", "shared"), [*product([True, False], MARKS)])
def test_mark_is_stored_and_returned(
    site: Site, store: PostgresStore, *, known: bool, shared: bool | None
) -> None:
    if known:
        site.start_jobs("1")
    site.post(body("n1", [reading(1, shared=shared)]))
    site.collect()
    if not known:
        site.start_jobs("1")
        site.collect()
    assert site.query("SELECT shared FROM gpu_samples") == [(shared,)]
    assert site.query("SELECT shared FROM job_gpus") == [(shared,)]
    ((point,), _) = store.samples.gpu_series("1", SeriesQuery())
    assert point.shared is shared


@pytest.mark.parametrize(("first", "second"), [*product(MARKS, MARKS)])
def test_bucket_is_marked_like_its_readings(
    site: Site,
    store: PostgresStore,
    connect: Callable[[], SingleConnection],
    *,
    first: bool | None,
    second: bool | None,
) -> None:
    site.start_jobs("1")
    # The second is late: it is merged, the first is appended.
    for minutes, shared in ((2, first), (1, second)):
        site.post(body("n1", [reading(minutes, shared=shared)]))
        site.collect()
    read = [mark for mark in (first, second) if mark is not None]
    bucket = SeriesQuery(resolution_seconds=3600)
    expected = any(read) if read else None

    def marks() -> set[bool | None]:
        return {point.shared for point in store.samples.gpu_series("1", bucket)[0]}

    assert marks() == {expected}
    rollups = PostgresRollups(connect(), OperationTimings())
    assert rollups.due(utc_now()) == [HOUR]
    rollups.roll(HOUR)
    marked = marks()
    site.query("UPDATE gpu_samples SET shared = NULL")
    assert marks() == marked == {expected}
    site.post(body("n1", [reading(0, shared=True)]))
    site.collect()
    assert marks() == {True}
    rollups.due(utc_now())
    rollups.roll(HOUR)
    site.query("DELETE FROM gpu_samples")
    assert marks() == {True}


@pytest.mark.parametrize("shared", ["true", 1, "shared"])
def test_mark_of_other_type_rejects_sample(site: Site, shared: object) -> None:
    site.start_jobs("1")
    site.post(body("n1", [reading(1, shared=shared), reading(2)]))
    assert site.collect().samples.stored == 1
    ((reason,),) = site.query("SELECT reason FROM rejected_samples")
    assert "gpus[0].shared" in reason


def test_later_reading_updates_mark(site: Site) -> None:
    site.start_jobs("1")
    for minutes, shared in enumerate((True, False, True)):
        site.post(body("n1", [reading(minutes, shared=shared)]))
        site.collect()
        assert site.query("SELECT shared FROM job_gpus") == [(shared,)]
