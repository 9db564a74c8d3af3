"""When to try again."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.sending.backoff import Backoff
from tests.forwarder.properties import patient


@patient
@given(st.integers(), st.integers(1, 60))
def test_pauses_grow_to_five_minutes_and_no_further(seed: int, failures: int) -> None:
    backoff = Backoff(random.Random(seed))
    pauses = [backoff.failed(0.0) for _ in range(failures)]

    for attempt, pause in enumerate(pauses):
        ceiling = min(2.0**attempt, 300)
        assert ceiling / 2 <= pause <= ceiling


@patient
@given(st.floats(0, 1e9), st.integers())
def test_the_sites_wish_is_honoured_within_an_hour(wish: float, seed: int) -> None:
    pause = Backoff(random.Random(seed)).failed(0.0, retry_after=wish)

    assert min(wish, 3600) <= pause <= 3960


def test_nodes_that_failed_together_do_not_return_together() -> None:
    pauses = {Backoff(random.Random(seed)).failed(0.0, retry_after=60) for seed in range(100)}

    assert max(pauses) - min(pauses) > 3


def test_a_success_ends_the_pause() -> None:
    backoff = Backoff()
    backoff.failed(100.0)
    assert backoff.remaining(100.0) > 0

    backoff.succeeded()

    assert backoff.remaining(100.0) == 0
