"""The retention function, invoked as its schedule and its operator do."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs import bootstrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.stores import Query

HANDLER = "functions.retention.handler.lambda_handler"
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 60_000)


@pytest.fixture
def site(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("DB_MAX_CONNS", "1")
    monkeypatch.setenv("METRICS_RETENTION_DAYS", "2")
    bootstrap.reset()
    yield
    bootstrap.reset()


def call(event: dict[str, Any]) -> dict[str, Any]:
    module, _, name = HANDLER.rpartition(".")
    return getattr(import_module(module), name)(event, CONTEXT)  # type: ignore[no-any-return]


@pytest.mark.usefixtures("site")
def test_dry_run_reports_what_run_does(query: Query) -> None:
    today = datetime.now(UTC).date()
    ahead = today + timedelta(days=3)
    old = today - timedelta(days=3)
    query("SELECT ensure_day_partition('metric_samples', %s)", old)
    reported = call({"dry_run": True})
    assert reported["dry_run"]
    assert reported["dropped"] == [f"metric_samples {old}"]
    done = call({"source": "aws.scheduler"})
    assert not done["dry_run"]
    assert (done["made"], done["dropped"]) == (reported["made"], reported["dropped"])
    tables = "SELECT count(*) FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE relkind = 'r'"
    assert query(tables) == [(8 + 2 * len({day.replace(day=1) for day in (today, ahead)}),)]
    assert call({})["made"] == []


@pytest.mark.usefixtures("site")
def test_confirmed_event_drops_all_expired_days(query: Query) -> None:
    today = datetime.now(UTC).date()
    for age in (3, 4, 20):
        query("SELECT ensure_day_partition('metric_samples', %s)", today - timedelta(days=age))
    planned = call({"dry_run": True})
    assert planned["dropped"] == [f"metric_samples {today - timedelta(days=20)}"]
    assert planned["held"] == [{"table": "metric_samples", "reason": "pace", "days": 2.0}]
    assert json.loads(json.dumps(planned)) == planned
    assert call({"confirm": "yes"})["dropped"] == planned["dropped"]
    assert len(call({"confirm": True})["dropped"]) == 2
