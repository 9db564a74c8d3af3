"""What is asked for elsewhere: seldom, again in time, and never lost while its source is away."""

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


def test_a_change_is_picked_up_after_some_minutes(
    cached: Cached[str], source: Source[str], time: Time
) -> None:
    assert cached() == "first"
    source.value = "second"
    time.now = 299
    assert cached() == "first"
    time.now = 300
    assert cached() == "second"
    assert source.asked == 2


def test_it_can_be_asked_for_sooner_but_once_a_minute(
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


def test_what_is_known_serves_on_while_the_source_is_away(
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


def test_what_was_never_had_is_unavailable_and_soon_asked_for_again(
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
