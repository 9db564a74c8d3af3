"""Compare what a service holds with the books, and name the smallest differences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tests.books.books import Named, Sums, by_interval

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tests.books.books import Truth
    from tests.books.database import Database
    from tests.books.plan import Sample

    Key = tuple[str, str, datetime]

LISTED = 3


def differences(what: str, books: Mapping[Any, Any], service: Mapping[Any, Any]) -> Iterator[str]:
    """Yield a line for each of the first keys with different values, and the number of all."""
    keys = [key for key in {**books, **service} if not _equal(books.get(key), service.get(key))]
    for key in sorted(keys, key=str)[:LISTED]:
        place = " ".join(map(str, key)) if isinstance(key, tuple) else key
        yield f"{what} of {place}: books {books.get(key)}, service {service.get(key)}"
    if len(keys) > LISTED:
        yield f"{what}: {len(keys)} differences in all"


def _equal(one: Any, other: Any) -> bool:
    """Compare exactly, but for means: they are rounded, in an order of the service's choice."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, int | float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def chosen(truth: Truth, database: Database) -> dict[Key, Sample]:
    """Return the samples that are stored. Of two with one key it is the one that is there."""
    serials = database.serials()
    return {
        key: next((one for one in samples if one.serial == serials.get(key)), samples[0])
        for key, samples in truth.stored.items()
    }


def compare_rows(
    truth: Truth, samples: dict[Key, Sample], database: Database, sealed_before: datetime
) -> Iterator[str]:
    """Compare stored samples and GPU readings, and those that are rejected or wait."""
    kept = {key: sample for key, sample in samples.items() if key[2] >= sealed_before}
    expected = {
        key: (sample.serial, sample.cpu, sample.memory_mb, sample.gpu or -1)
        for key, sample in kept.items()
    }
    yield from differences("sample", expected, database.samples())
    readings = {
        (*key, device.gpu_id): (device.utilization, device.memory_mb, device.watts)
        for key, sample in kept.items()
        for device in sample.devices
    }
    yield from differences("GPU reading", readings, database.gpu_samples())
    yield from _compare_rejected(truth, database.rejected())


def _compare_rejected(truth: Truth, rows: dict[Named, str]) -> Iterator[str]:
    service = {named: why for named, why in rows.items() if named not in truth.may_be_rejected}
    books = {
        # Why a sample is rejected is for people. The books only know that it is.
        named: service.get(named, why)
        for named, why in truth.rejected.items()
        if named not in truth.may_be_rejected
    }
    yield from differences("rejected sample", books, service)


def compare_rollups(
    samples: dict[Key, Sample], database: Database, before: datetime
) -> Iterator[str]:
    """Compare the roll-ups of all hours that ended before a time."""
    for seconds in (300, 3600):
        rolled = by_interval({key: one for key, one in samples.items() if key[2] < before}, seconds)
        expected = {place: _row(sums) for place, sums in rolled.items()}
        found = database.rollups(seconds, before)
        yield from differences(f"roll-up of {seconds} s", expected, found)
        gpus = {
            (*place, gpu_id): row
            for place, sums in rolled.items()
            for gpu_id, row in _gpu_rows(sums)
        }
        found = database.gpu_rollups(seconds, before)
        yield from differences(f"GPU roll-up of {seconds} s", gpus, found)


def _row(sums: Sums) -> tuple[Any, ...]:
    gpu = sums.gpu
    return (
        *(len(sums.samples), sums.cpu, sums.cpu_max, sums.memory, sums.memory_max),
        *(len(gpu), sum(gpu), max(gpu, default=0)),
    )


def _gpu_rows(sums: Sums) -> Iterator[tuple[str, tuple[Any, ...]]]:
    devices = [device for sample in sums.samples for device in sample.devices]
    for gpu_id in {device.gpu_id for device in devices}:
        own = [device for device in devices if device.gpu_id == gpu_id]
        utilization = [device.utilization for device in own]
        memory = [device.memory_mb for device in own]
        watts = sum(device.watts for device in own)
        yield (
            gpu_id,
            (len(own), sum(utilization), max(utilization), sum(memory), max(memory), watts),
        )
