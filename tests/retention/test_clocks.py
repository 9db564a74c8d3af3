"""A wrong clock deletes nothing, a stopped service catches up, and an operator may confirm."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.ports.retention import Reason
from tests.builders import T0
from tests.clocks import move_database_clock, set_database_clock
from tests.retention.lasting import DAY, HOUR, LastingSite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from hpcobs.service.retention import RetentionReport
    from tests.stores import Query

WEEK = [n * DAY for n in range(8)]


@pytest.fixture
def site(database_url: str) -> Iterator[LastingSite]:
    site = LastingSite(database_url)
    site.sample(*WEEK)
    site.run()
    yield site
    site.close()


def reasons(report: RetentionReport, table: str = "metric_samples") -> dict[Reason, float]:
    return {held.reason: held.days for held in report.held if held.table == table}


def deletions(report: RetentionReport) -> int:
    return len(report.dropped) + sum(report.deleted.values())


@pytest.mark.parametrize("ahead", [30 * DAY, 800 * DAY])
def test_service_clock_ahead_deletes_nothing(
    site: LastingSite, ahead: timedelta, query: Query, caplog: pytest.LogCaptureFixture
) -> None:
    query("UPDATE job_audit_events SET changed_at = %s", T0)
    stored = site.stored()
    site.set_clocks(ours=ahead, database=timedelta(0))
    with caplog.at_level(logging.WARNING):
        site.wait(HOUR)
        report = site.run()
    assert deletions(report) == 0
    assert site.stored() == stored
    # By both clocks nothing is past its limit: so nothing is held either.
    assert report.held == []
    site.set_clocks(ours=timedelta(0), database=ahead)
    site.check()


def test_differing_clocks_hold_expired_data(
    site: LastingSite, caplog: pytest.LogCaptureFixture
) -> None:
    site.wait(3 * HOUR)
    site.days = 2
    site.set_clocks(ours=HOUR, database=timedelta(0))
    with caplog.at_level(logging.WARNING):
        report = site.run(confirm=True)
    assert deletions(report) == 0
    assert reasons(report) == {Reason.CLOCKS_DIFFER: 5}
    (line,) = [record.getMessage() for record in caplog.records if "past their limit" in record.msg]
    assert "metric_samples 5 d, gpu_samples 5 d" in line
    assert "Correct the clock" in line


@pytest.mark.parametrize(("days", "runs"), [(0.7, 3), (2, 3), (30, 3), (800, 1), (800, 30)])
def test_both_clocks_ahead_delete_nothing(site: LastingSite, days: float, runs: int) -> None:
    stored = site.stored()
    site.set_clocks(ours=days * DAY, database=days * DAY)
    for _ in range(runs):
        site.wait(HOUR)
        assert deletions(site.run()) == 0 or runs > 20
    assert site.stored() == {moment for moment in stored if moment >= site.now - 8 * DAY}
    site.set_clocks(ours=timedelta(0), database=timedelta(0))
    site.wait(HOUR)
    site.run()
    site.check()
    assert site.rows("SELECT max(rolled_before) FROM rollup_states")[0][0] <= site.now


def test_service_off_for_two_weeks_catches_up(site: LastingSite) -> None:
    site.wait(14 * DAY)
    held = []
    for _ in range(24 + len(WEEK) + 3):
        site.sample(timedelta(0))
        report = site.run()
        held.append(reasons(report))
        assert len([name for name in report.dropped if "metric" in name]) <= 1
        site.check()
        site.wait(HOUR)
    # The days of the samples, and three that were created in advance.
    assert held[0] == {Reason.CLOCK_AHEAD: len(WEEK) + 3}
    assert held[23] == {Reason.CLOCK_AHEAD: len(WEEK) + 2}
    assert held[24] == {Reason.PACE: len(WEEK) + 1}
    assert held[-1] == {}


def test_silent_site_expires_its_data(site: LastingSite) -> None:
    site.wait(30 * DAY)
    for _ in range(8 * 24 // 3):
        site.run()
        site.wait(3 * HOUR)
    assert site.run().finished
    assert site.stored() == set()


def test_lowered_limit_drops_day_each_run(site: LastingSite) -> None:
    site.wait(HOUR)
    site.days = 2
    report = site.run()
    assert len(report.dropped) == 2
    assert reasons(report) == {Reason.PACE: 4}
    assert site.rows("SELECT days FROM retention_held WHERE days > 0") == [(4.0,), (4.0,)]
    planned, confirmed = site.run(dry_run=True, confirm=True), site.run(confirm=True)
    assert (len(confirmed.dropped), confirmed.held) == (8, [])
    assert confirmed.dropped == planned.dropped
    assert site.rows("SELECT days FROM retention_held WHERE days > 0") == []
    site.check()


def test_confirmed_clock_is_believed(site: LastingSite) -> None:
    site.wait(14 * DAY)
    report = site.run(confirm=True)
    assert site.stored() == set()
    assert report.held == []
    assert site.run().held == []


def test_database_drops_no_day_that_is_not_past(site: LastingSite) -> None:
    today = site.now.date()
    for table in ("metric_samples", "gpu_samples"):
        for day in (today, today + DAY, today + 3 * DAY):
            site.expiry.ensure_partition(table, day)
            assert not site.expiry.drop_partition(table, day)
    for month in (today.replace(day=1), (today + 31 * DAY).replace(day=1)):
        site.expiry.ensure_partition("metric_rollups", month)
        assert not site.expiry.drop_partition("metric_rollups", month)
    assert site.sealed() < site.now - 7 * DAY
    site.check()


@pytest.mark.parametrize("table", ["metric", "gpu"])
def test_day_is_dropped_after_its_check(site: LastingSite, table: str, query: Query) -> None:
    site.wait(16 * HOUR)
    site.sample(timedelta(0))
    query(f"DELETE FROM {table}_rollups WHERE timestamp < %s", site.now - 7 * DAY)
    assert reasons(site.run(dry_run=True), f"{table}_samples") == {Reason.ROLL_UPS: 1}
    stored = site.stored(f"{table}_samples")
    report = site.run()
    assert reasons(report, f"{table}_samples") == {Reason.ROLL_UPS: 1}
    assert site.stored(f"{table}_samples") == stored
    # The failed check notes the day's hours, and the next run rolls them up.
    assert site.run().held == []
    site.check()


def test_stored_sample_after_check_keeps_day(site: LastingSite, database_url: str) -> None:
    day = (site.now - 7 * DAY).date()
    with psycopg.connect(database_url) as dropping:
        checked = dropping.execute("SELECT check_sample_day('metric_samples', %s)", [day])
        assert checked.fetchone() == (True,)
        site.sample(7 * DAY - HOUR)
        assert not site.rollups.roll(site.now - 7 * DAY + HOUR)
        dropped = dropping.execute("SELECT drop_sample_day('metric_samples', %s)", [day])
        assert dropped.fetchone() == (False,)
    assert len(site.stored()) == len(WEEK) + 1


def test_rolled_time_ahead_of_clock_heals(site: LastingSite, query: Query) -> None:
    query("UPDATE rollup_states SET rolled_before = %s", site.now + 30 * DAY)
    site.rollups.due(site.now + 60 * DAY)
    closed: datetime = T0.replace(hour=T0.hour - 1)
    assert site.rows("SELECT DISTINCT rolled_before FROM rollup_states") == [(closed,)]
    move_database_clock(site.url, site.now + 2 * HOUR)
    site.rollups.due(site.now + HOUR)
    assert site.rows("SELECT DISTINCT rolled_before FROM rollup_states") == [(T0 + HOUR,)]


def test_set_clock_is_the_databases(database_url: str) -> None:
    set_database_clock(database_url, T0)
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT now()").fetchone() == (T0,)
