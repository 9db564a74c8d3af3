"""Cached values: read seldom, read again in time, and kept during an outage."""

from __future__ import annotations

import pytest

from hpcobs.auth.cached import Cached
from hpcobs.domain.errors import UnavailableError
from tests.unit.auth.clocks import Source, Time


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def source() -> Source[str]:
    return Source("first")


@pytest.fixture
def cached(source: Source[str], time: Time) -> Cached[str]:
    return Cached(
        source,
        what="the word",
        fresh_seconds=300,
        sooner_seconds=60,
        retry_seconds=5,
        clock=time,
    )


def test_change_is_read_after_five_minutes(
    cached: Cached[str], source: Source[str], time: Time
) -> None:
    assert cached() == "first"
    source.value = "second"
    time.now = 299
    assert cached() == "first"
    time.now = 300
    assert cached() == "second"
    assert source.asked == 2


def test_early_reads_are_once_a_minute(
    cached: Cached[str], source: Source[str], time: Time
) -> None:
    cached()
    source.value = "second"
    time.now = 59
    assert cached.sooner() == "first"
    time.now = 60
    assert cached.sooner() == "second"
    for _ in range(100):
        cached.sooner()
    assert source.asked == 2


def test_last_value_survives_an_outage(
    cached: Cached[str], source: Source[str], time: Time
) -> None:
    cached()
    source.there = False
    time.now = 1000
    assert [cached() for _ in range(9)] == ["first"] * 9
    assert source.asked == 2
    source.there, source.value = True, "second"
    time.now = 1005
    assert cached() == "second"


def test_missing_value_is_retried_soon(
    cached: Cached[str], source: Source[str], time: Time
) -> None:
    source.there = False
    for _ in range(9):
        with pytest.raises(UnavailableError, match="the word cannot be read now"):
            cached()
    assert source.asked == 1
    source.there = True
    time.now = 5
    assert cached() == "first"
