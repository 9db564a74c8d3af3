"""A submission that is reported after a later one gets the samples that are of it."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.samples import Sample
from hpcobs.service.jobs import Jobs
from tests.collector.batches import sample
from tests.collector.test_submissions import NOW, ago, counts, key, report, send, stored

if TYPE_CHECKING:
    from datetime import datetime

    from tests.collector.conftest import Site

Span = tuple[int, int]
"""When a job was submitted, and when it ended (0: it runs), in minutes ago."""
RESET = """
TRUNCATE jobs, job_nodes, job_gpus, job_audit_events, metric_samples, gpu_samples, waiting_samples,
         unrolled_hours
"""


def send_each(site: Site, moments: list[int]) -> None:
    """Send a sample of each moment, whose memory names it."""
    chance = Random(1)
    entries = [sample("1", ago(at), chance, memory_usage_mb=at) for at in moments]
    site.post(site.sent.batch("n1", entries))
    site.collect()


def readings(site: Site) -> list[tuple[float, str]]:
    """Return how many minutes ago each GPU was read. Each reading has to have its sample's job."""
    rows = site.query(
        'SELECT gpu.job_id = sample.job_id, "timestamp", gpu_id'
        " FROM gpu_samples AS gpu LEFT JOIN metric_samples AS sample"
        ' USING ("timestamp", node) ORDER BY 2, 3'
    )
    assert all(is_same for is_same, _, _ in rows)
    return [((NOW - moment).total_seconds() / 60, gpu_id) for _, moment, gpu_id in rows]


def usage(site: Site) -> dict[str, tuple[int, int | None]]:
    """Return the number of samples and the most memory of each job."""
    rows = site.query("SELECT id, sample_count, max_memory_usage_mb FROM jobs")
    return {name: (count, memory) for name, count, memory in rows}


def test_earlier_submission_gets_its_samples(site: Site) -> None:
    report(site, 60, user="eve")
    send(site, 250, 210, memory=5000)
    send(site, 50, memory=10)
    assert usage(site) == {"1": (3, 5000)}
    report(site, 300, 200)
    assert stored(site) == {"1": [50], key(300): [250, 210]}
    assert usage(site) == {"1": (1, 10), key(300): (2, 5000)}


def test_latest_readings_move_with_samples(site: Site) -> None:
    report(site, 60, user="eve")
    send(site, 250, 210)
    report(site, 300, 200)
    rows = site.query("SELECT id, last_sample_at FROM jobs")
    assert dict(rows) == {"1": None, key(300): ago(210)}
    of_nodes = site.query("SELECT job_id, last_sample_at FROM job_nodes WHERE sample_count > 0")
    assert of_nodes == [(key(300), ago(210))]
    gpus = site.query("SELECT DISTINCT job_id, sampled_at FROM job_gpus")
    assert gpus in ([], [(key(300), ago(210))])


def test_samples_between_submissions_wait_for_theirs(site: Site) -> None:
    report(site, 60, user="eve")
    send_each(site, [250, 140, 130, 120, 115, 111, 50])
    sent = readings(site)
    assert sent
    report(site, 300, 200)
    assert stored(site) == {"1": [50], key(300): [250]}
    assert site.query("SELECT count(*) FROM waiting_samples") == [(5,)]
    report(site, 150, 110, user="bob")
    site.collect()
    assert stored(site) == {"1": [50], key(150): [140, 130, 120, 115, 111], key(300): [250]}
    assert counts(site) == {"1": 1, key(150): 5, key(300): 1}
    assert readings(site) == sent


def test_submission_between_two_ends_first_one(site: Site) -> None:
    report(site, 300)
    send(site, 250, 140, 50)
    report(site, 60, user="eve")
    report(site, 150, 110, user="bob")
    assert stored(site) == {"1": [250], key(60): [50], key(150): [140]}
    ends = site.query("SELECT id, end_time FROM jobs")
    assert dict(ends) == {"1": ago(250), key(60): None, key(150): ago(110)}


def test_running_view_of_earlier_submission_ends_it(site: Site) -> None:
    report(site, 60, user="eve")
    send(site, 250, 140, 50)
    report(site, 300)
    rows = site.query("SELECT id, state, end_time, state_reason FROM jobs ORDER BY id")
    assert rows == [("1", "running", None, None), (key(300), "failed", ago(140), "JobIdReused")]
    assert counts(site) == {"1": 1, key(300): 2}


def test_posted_sample_of_other_submission_is_rejected(site: Site) -> None:
    report(site, 300, 200)
    report(site, 60, user="eve")
    jobs = Jobs(site.store, kept_days=7, stale_after=timedelta(hours=1))
    with pytest.raises(InvalidInputError, match="before the job's submission"):
        jobs.add_sample(Sample("1", ago(250), "n1", 1, 1))
    assert jobs.add_sample(Sample("1", ago(50), "n1", 1, 1))
    assert jobs.add_sample(Sample(key(300), ago(250), "n1", 1, 1))
    assert stored(site) == {"1": [250], key(60): [50]}


def owner(spans: list[Span], at: int) -> str | None:
    """Return the key of the job that a sample is of, by ADR 0025. The latest span is open."""
    place = max((n for n, (begin, _) in enumerate(spans) if at <= begin), default=0)
    begin, end = spans[place]
    if end == 0 or at >= end:
        return key(begin)
    if place + 1 < len(spans) and at <= spans[place + 1][0] + 1:
        return key(spans[place + 1][0])
    return None if at < end - 10 else key(begin)


def _placed(parts: list[tuple[int, int]]) -> list[Span]:
    at, spans = 1 + sum(map(sum, parts)), []
    for length, gap in parts:
        spans.append((at, at - length))
        at -= length + gap
    return [*spans[:-1], (spans[-1][0], 0)]


SPANS = st.lists(st.tuples(st.integers(2, 60), st.integers(1, 60)), min_size=2, max_size=4).map(
    _placed
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@example([(300, 200), (60, 0)], [1, 0], [250, 205, 195, 185, 61, 60, 10], 1)
@example([(300, 200), (150, 110), (60, 0)], [2, 0, 1], [250, 140, 105, 61, 10], 1)
@given(
    SPANS,
    st.permutations(range(4)),
    st.lists(st.integers(1, 300), min_size=1, max_size=12, unique=True),
    st.integers(1, 4),
)
def test_any_order_of_reports_gives_same_samples(
    site: Site, spans: list[Span], order: list[int], moments: list[int], sent_after: int
) -> None:
    site.query(RESET)
    # In the minute before a submission the order matters: nothing shows yet that it will come.
    begins = {begin + 1 for begin, _ in spans}
    moments = [at for at in moments if at not in begins]
    order = [place for place in order if place < len(spans)]
    for number, place in enumerate(order, 1):
        begin, end = spans[place]
        report(site, begin, end or None, user=f"user{place}")
        if number == min(sent_after, len(order)):
            send_each(site, moments)
    site.collect()
    expected: dict[str, list[float]] = defaultdict(list)
    for at in sorted(moments, reverse=True):
        name = owner(spans, at)
        if name is not None:
            expected[name].append(at)
    keys: dict[datetime, str] = dict(site.query("SELECT submission_at, id FROM jobs"))
    named = {keys[ago(begin)]: expected[key(begin)] for begin, _ in spans}
    assert stored(site) == {name: found for name, found in named.items() if found}
    readings(site)
    assert usage(site) == {
        name: (len(found), max(found, default=None)) for name, found in named.items()
    }
