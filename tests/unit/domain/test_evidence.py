"""A time is believed when it has been lived through, or when samples are from it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hpcobs.domain.evidence import Evidence, Witness, clocks_agree, confirmed, witnessed
from tests.builders import T0

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = Witness(T0, T0, T0)


@pytest.mark.parametrize(
    ("passed", "newest", "steady_for", "believed"),
    [
        (HOUR, None, HOUR, HOUR),
        (3 * HOUR, None, HOUR, 3 * HOUR),
        # An hour too long for runs that failed: the service was off, or the clock was moved.
        (4 * HOUR, None, HOUR, 0 * HOUR),
        (4 * HOUR, 3 * HOUR, HOUR, 3 * HOUR),
        (DAY, DAY, HOUR, DAY),
        # The samples of a machine whose clock is wrong are as wrong as the clock.
        (30 * DAY, 30 * DAY, 5 * DAY, 0 * DAY),
        (HOUR, 30 * DAY, 5 * DAY, HOUR),
        # Samples are from before now, or their clock is wrong.
        (HOUR, 2 * HOUR, HOUR, HOUR),
        (-HOUR, None, HOUR, -HOUR),
        (-30 * DAY, HOUR, HOUR, -30 * DAY),
    ],
)
def test_time_is_believed_by_evidence(
    passed: timedelta, newest: timedelta | None, steady_for: timedelta, believed: timedelta
) -> None:
    now = T0 + passed
    before = Witness(T0, T0, now - steady_for)
    newest_sample = None if newest is None else T0 + newest
    assert witnessed(Evidence(now, newest_sample, before), now).believed_at == T0 + believed


def test_steady_clock_makes_samples_evidence() -> None:
    now = T0 + 14 * DAY
    seen = witnessed(Evidence(now, now, START), now)
    assert (seen.believed_at, seen.steady_since) == (T0, now)
    for hour in range(1, 24):
        later = now + hour * HOUR
        seen = witnessed(Evidence(later, later, seen), later)
        assert seen.believed_at == T0 + hour * HOUR
    later = now + DAY
    assert witnessed(Evidence(later, later, seen), later).believed_at == later


def test_nightly_stop_does_not_unsettle_clock() -> None:
    now, seen = T0, START
    for _ in range(20):
        for hours in (1, 1, 22):
            now += hours * HOUR
            seen = witnessed(Evidence(now, now, seen), now)
            assert seen.believed_at == now
    assert seen.steady_since == T0


def test_silent_site_lives_through_time() -> None:
    now = T0 + 30 * DAY
    seen = witnessed(Evidence(now, T0, START), now)
    for _ in range(100):
        now += HOUR
        seen = witnessed(Evidence(now, T0, seen), now)
    assert seen.believed_at == T0 + 100 * HOUR
    assert confirmed(now) == Witness(now, now, now)


@pytest.mark.parametrize(("apart", "agree"), [(0, True), (300, True), (301, False)])
def test_clocks_agree_within_five_minutes(apart: int, agree: bool) -> None:
    difference = timedelta(seconds=apart)
    assert clocks_agree(T0 + difference, T0) == clocks_agree(T0, T0 + difference) == agree
