"""``hpcobs retention`` tells what would go, and lets it go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run


def test_a_dry_run_tells_what_a_run_does(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "DB_MAX_CONNS", "DB_MIN_CONNS"):
        monkeypatch.setenv(name, "")  # the command sets them: put back afterwards
    old = datetime.now(UTC).date() - timedelta(days=30)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT ensure_day_partition('metric_samples', %s)", [old])
    told = run("retention", "--dry-run", "--database-url", database_url).output
    assert f"would be dropped: metric_samples {old}\n" in told
    assert "would be deleted: 0 rows of audit\n" in told
    assert run("retention", "--database-url", database_url).output == told.replace("would be ", "")
    assert "dropped" not in run("retention", "--database-url", database_url).output


@pytest.mark.parametrize(
    ("environment", "said"),
    [({"DATABASE_URL": ""}, "DATABASE_URL"), ({"METRICS_RETENTION_DAYS": "0"}, "METRICS_RET")],
)
def test_what_is_wrong_is_one_line(
    run: Run,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    said: str,
) -> None:
    for name in ("DB_MAX_CONNS", "DB_MIN_CONNS"):
        monkeypatch.setenv(name, "")
    for name, value in ({"DATABASE_URL": database_url} | environment).items():
        monkeypatch.setenv(name, value)
    result = run("retention")
    assert result.status == 1
    assert said in result.errors
    assert result.errors.count("\n") == 1
