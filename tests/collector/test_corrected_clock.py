"""A clock that was ahead leaves times in the future. Once it is correct, nothing waits for them."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from hpcobs.domain.nodes import NodeReport
from hpcobs.ports.clock import utc_now
from hpcobs.ports.rejected import RejectedFilter
from hpcobs.service.job_events import JobEvents
from tests.builders import AUDIT, ORIGIN, scheduler_job
from tests.collector.batches import sample
from tests.collector.conftest import Site

ALL = RejectedFilter()
AHEAD = [timedelta(hours=2), timedelta(days=30), timedelta(days=800)]
ahead = pytest.mark.parametrize("ahead", AHEAD)


def batch(site: Site, *, seconds: int = 0) -> bytes:
    at = utc_now() - timedelta(seconds=seconds)
    return site.sent.batch("n1", [sample("1", at, random.Random(seconds))])


@ahead
@pytest.mark.parametrize("received", [False, True])
def test_queued_messages_are_stored_at_once(site: Site, ahead: timedelta, received: bool) -> None:
    site.start_jobs("1")
    site.post(batch(site))
    if received:
        assert site.queue.receive(limit=10)
    moved = "UPDATE sample_queue SET visible_at = visible_at + %s, sent_at = sent_at + %s"
    site.query(moved, ahead, ahead)
    site.collect()
    site.check("1")


@ahead
def test_rejected_samples_are_replayed_at_once(site: Site, ahead: timedelta) -> None:
    site.post(batch(site), batch(site, seconds=60))
    site.collect()
    site.age_waiting()
    site.collect()
    site.query("UPDATE rejected_samples SET rejected_at = rejected_at + %s", ahead)
    site.start_jobs("1")
    done = site.rejected().replay(ALL)
    assert (done.taken.stored, done.kept) == (2, 0)
    site.check("1")


@ahead
def test_waiting_samples_of_unknown_jobs_are_rejected(site: Site, ahead: timedelta) -> None:
    site.post(batch(site))
    site.collect()
    site.query("UPDATE waiting_samples SET since = since + %s", ahead)
    site.collect()
    site.age_waiting()
    site.collect()
    assert site.query("SELECT count(*) FROM rejected_samples") == [(1,)]


@ahead
def test_nodes_report_again_at_once(site: Site, ahead: timedelta) -> None:
    site.post(batch(site))
    site.collect()
    site.query("UPDATE nodes SET last_seen = last_seen + %s", ahead)
    site.post(batch(site, seconds=1))
    site.collect()
    assert site.query("SELECT count(*) FROM nodes WHERE last_seen <= now()") == [(1,)]


@ahead
def test_next_view_of_controller_counts(site: Site, ahead: timedelta) -> None:
    now = utc_now()
    wrong = JobEvents(site.store, ORIGIN, clock=lambda: now + ahead)
    node = NodeReport(node="n1", state="idle", observed_at=now)
    start = {"start_time": now - timedelta(minutes=5)}
    running = scheduler_job("RUNNING", 0, observed_at=now + ahead, **start)
    wrong.sync([running], [node], AUDIT)
    site.query("UPDATE nodes SET state_seen_at = state_seen_at + %s", ahead)
    suspended = scheduler_job("SUSPENDED", 0, observed_at=now, **start)
    site.events.sync([suspended], [replace(node, state="drain")], AUDIT)
    assert site.query("SELECT raw_state FROM jobs") == [("SUSPENDED",)]
    assert site.query("SELECT state FROM nodes WHERE name = 'n1'") == [("drain",)]
