"""CPU percentages from counters: within bounds for any counters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.node.tracking import Count, cpu_percent
from tests.forwarder.properties import patient

numbers = st.floats(0, 1e12, allow_nan=False, allow_infinity=False)
counts = st.builds(Count, numbers, numbers)


@patient
@given(counts, counts, st.floats(0, 4096))
def test_any_two_counts_give_percentage_or_none(before: Count, after: Count, cpus: float) -> None:
    percent = cpu_percent(before, after, cpus)

    assert percent is None or 0 <= percent <= 100


@patient
@given(counts, counts, st.floats(0.01, 4096))
def test_counter_or_clock_going_back_gives_none(before: Count, after: Count, cpus: float) -> None:
    has_percent = cpu_percent(before, after, cpus) is not None

    available = (after.at - before.at) * cpus
    assert has_percent == (available > 0 and after.cpu_seconds >= before.cpu_seconds)


def test_percentage_is_of_allocated_cpus() -> None:
    assert cpu_percent(Count(100, 50), Count(110, 70), 4) == 50


def test_percentage_is_at_most_100() -> None:
    assert cpu_percent(Count(0, 0), Count(10, 41), 4) == 100
