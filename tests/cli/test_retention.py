"""``hpcobs retention`` prints what it would do, and does it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_dry_run_prints_same_as_run(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "DB_MAX_CONNS", "DB_MIN_CONNS"):
        monkeypatch.setenv(name, "")  # the command sets them: restored afterwards
    old = datetime.now(UTC).date() - timedelta(days=30)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT ensure_day_partition('metric_samples', %s)", [old])
    planned = run("retention", "--dry-run", "--database-url", database_url).output
    assert f"would be dropped: metric_samples {old}\n" in planned
    assert "would be deleted: 0 rows of the audit trail\n" in planned
    done = run("retention", "--database-url", database_url).output
    assert done == planned.replace("would be ", "")
    assert "dropped" not in run("retention", "--database-url", database_url).output


def test_held_days_are_listed_until_confirmed(
    run: Run,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("DATABASE_URL", "DB_MAX_CONNS", "DB_MIN_CONNS"):
        monkeypatch.setenv(name, "")
    today = datetime.now(UTC).date()
    with psycopg.connect(database_url, autocommit=True) as connection:
        for age in (30, 31, 32):
            day = today - timedelta(days=age)
            connection.execute("SELECT ensure_day_partition('metric_samples', %s)", [day])
    output = run("retention", "--database-url", database_url).output
    assert not caplog.records, "standard error repeats nothing"
    assert "held: 2 days of metric_samples, because one run deletes at most one day" in output
    output = run("retention", "--confirm", "--database-url", database_url).output
    assert output.count("\ndropped: metric_samples") == 2
    assert "held:" not in output


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [({"DATABASE_URL": ""}, "DATABASE_URL"), ({"METRICS_RETENTION_DAYS": "0"}, "METRICS_RET")],
)
def test_bad_setting_prints_one_line(
    run: Run,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    complaint: str,
) -> None:
    for name in ("DB_MAX_CONNS", "DB_MIN_CONNS"):
        monkeypatch.setenv(name, "")
    for name, value in ({"DATABASE_URL": database_url} | environment).items():
        monkeypatch.setenv(name, value)
    result = run("retention")
    assert result.status == 1
    assert complaint in result.errors
    assert result.errors.count("\n") == 1
