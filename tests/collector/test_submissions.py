"""Samples of a job id that Slurm uses again count for the submission that they are of."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.ports.clock import utc_now
from hpcobs.storage.sample_writer.submissions import _key_at, read_submissions
from tests.builders import AUDIT, scheduler_job
from tests.collector.batches import sample

if TYPE_CHECKING:
    from tests.collector.conftest import Site

NOW = utc_now().replace(microsecond=0)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def report(site: Site, begin: float, end: float | None = None, **fields: Any) -> None:
    """Report job 1, submitted and started ``begin`` minutes ago, as the controller shows it."""
    seen = ago(0 if end is None else end)
    view = scheduler_job("RUNNING" if end is None else "COMPLETED", 0, **fields)
    times: dict[str, Any] = {"submit_time": ago(begin), "start_time": ago(begin)}
    times["end_time"] = None if end is None else ago(end)
    site.events.sync([replaced(view, observed_at=seen, restart_count=0, **times)], [], AUDIT)


def replaced(view: Any, **fields: Any) -> Any:
    from dataclasses import replace

    return replace(view, **fields)


def send(site: Site, *minutes: float, memory: int = 100) -> None:
    chance = Random(1)
    entries = [sample("1", ago(one), chance, memory_usage_mb=memory) for one in minutes]
    site.post(site.sent.batch("n1", entries))
    site.collect()


def stored(site: Site) -> dict[str, list[float]]:
    """Return how many minutes ago the samples of each stored job were taken."""
    found: dict[str, list[float]] = {}
    rows = site.query('SELECT job_id, "timestamp" FROM metric_samples ORDER BY 1, 2')
    for key, moment in rows:
        found.setdefault(key, []).append((NOW - moment).total_seconds() / 60)
    return found


def key(begin: float) -> str:
    return f"1@{ago(begin):%Y%m%dT%H%M%SZ}"


def counts(site: Site) -> dict[str, int]:
    rows = site.query("SELECT coalesce(public_id, id), sample_count FROM jobs")
    return dict(rows)


def test_samples_after_end_wait_for_next_submission(site: Site) -> None:
    report(site, 300, 200)
    send(site, 250, 195)
    send(site, 50, 40)
    assert stored(site) == {"1": [250, 195]}
    site.collect()
    assert site.query("SELECT count(*) FROM waiting_samples") == [(2,)]
    report(site, 60, user="eve")
    site.collect()
    assert stored(site) == {"1": [250, 195], key(60): [50, 40]}
    assert counts(site) == {"1": 2, key(300): 2}


def test_samples_of_running_job_move_to_next_submission(site: Site) -> None:
    report(site, 300)
    send(site, 250, memory=10)
    send(site, 50, memory=5000)
    assert stored(site) == {"1": [250, 50]}
    report(site, 60, user="eve")
    assert stored(site) == {"1": [250], key(60): [50]}
    peaks = site.query("SELECT coalesce(public_id, id), max_memory_usage_mb FROM jobs ORDER BY 1")
    assert peaks == [("1", 5000), (key(300), 10)]


def test_late_samples_count_for_earlier_submission(site: Site) -> None:
    report(site, 300, 200)
    report(site, 60, 30, user="eve")
    send(site, 250, 50, 210)
    send(site, 59, 205)
    assert stored(site) == {"1": [250, 210, 205], key(60): [59, 50]}
    assert counts(site) == {"1": 2, key(300): 3}


def test_sample_just_before_submission_belongs_to_it(site: Site) -> None:
    report(site, 300, 200)
    report(site, 60, user="eve")
    send(site, 60.5)
    assert stored(site) == {key(60): [60.5]}


SPANS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=4).map(
    lambda spans: list(_placed(spans))
)


def _placed(spans: list[tuple[int, int]]) -> Any:
    """Yield the begin and end of submissions in minutes ago, the earliest first."""
    at = 1 + sum(length + gap for length, gap in spans)
    for length, gap in spans:
        yield at, at - length
        at -= length + gap


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(spans=SPANS, last_is_open=st.booleans(), moments=st.lists(st.integers(-5, 500), min_size=20))
def test_both_rules_choose_same_job(
    site: Site,
    database_url: str,
    spans: list[tuple[int, int]],
    last_is_open: bool,
    moments: list[int],
) -> None:
    site.query("TRUNCATE jobs, job_nodes, job_audit_events")
    for place, (begin, end) in enumerate(spans):
        is_open = last_is_open and place == len(spans) - 1
        report(site, begin, None if is_open else end, user=f"user{place}")
    with psycopg.connect(database_url) as connection:
        reused = read_submissions(connection, ["1"])
        for minutes in moments:
            at = ago(minutes)
            row = connection.execute("SELECT job_of_sample('1', %s)", [at]).fetchone()
            assert row is not None
            if reused:
                assert _key_at(reused["1"], at) == row[0]
            else:
                late = not last_is_open and minutes < spans[0][1] - 10
                assert row[0] == (None if late else "1")
