"""An event computes statistics again only where it changes what they are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hpcobs.domain.jobs import Resources, Usage
from hpcobs.domain.lifecycle.outcome import Discard, Recompute
from hpcobs.domain.lifecycle.start import start
from hpcobs.domain.lifecycle.sync import sync
from tests.builders import at, incoming_job, running_job, start_of

SAMPLED = Usage(sample_count=7)
FIRST = replace(running_job(), usage=SAMPLED)
SECOND = replace(running_job(restart_count=1), usage=SAMPLED)


@pytest.mark.parametrize(
    ("job", "changes", "expected"),
    [
        (FIRST, {"name": "named", "cluster_name": "lab"}, Recompute.NOTHING),
        (FIRST, {"start_time": at(-60)}, Recompute.NOTHING),
        (FIRST, {"end_time": at(60)}, Recompute.NOTHING),
        (SECOND, {"start_time": at(-60), "statistics_since": at(-60)}, Recompute.BOUNDARY),
        (SECOND, {"statistics_since": at(60)}, Recompute.BOUNDARY),
        (FIRST, {"resources": Resources(cpus_per_node=(4,))}, Recompute.WEIGHTS),
        (FIRST, {"nodes": ("n1", "n2")}, Recompute.WEIGHTS),
        (running_job(), {"nodes": ("n1", "n2")}, Recompute.NOTHING),
    ],
)
def test_change_shows_what_to_recompute(
    job: Any, changes: dict[str, Any], expected: Recompute
) -> None:
    assert Recompute.of(job, replace(job, **changes), None) is expected
    assert Recompute.of(job, replace(job, **changes), Discard()) is Recompute.SAMPLES


@pytest.mark.parametrize("seconds", [-60, 0, 60])
def test_first_runs_start_recomputes_nothing(seconds: float) -> None:
    assert start_of(FIRST, seconds, name="named").recompute is Recompute.NOTHING
    view = incoming_job("RUNNING", 90, start_time=at(seconds))
    assert sync(FIRST, view).recompute is Recompute.NOTHING


def test_next_run_and_takeover_recompute_run() -> None:
    assert start_of(FIRST, 60, restart_count=1).recompute is Recompute.RUN
    view = incoming_job("RUNNING", 90, user="eve", start_time=at(0))
    assert sync(FIRST, view).recompute is Recompute.RUN
    assert start(FIRST, FIRST).recompute is Recompute.NOTHING
