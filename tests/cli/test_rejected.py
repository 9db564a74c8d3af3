"""``hpcobs rejected`` lists rejected samples, and replays them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

REASON = "job_id: no such job was reported"


@pytest.fixture
def rejected_url(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a database with two rejected samples, one of which is still invalid."""
    for name in ("DATABASE_URL", "DB_MAX_CONNS", "DB_MIN_CONNS"):
        monkeypatch.setenv(name, "")  # the command sets them: restored afterwards
    good = {"job_id": "1", "timestamp": datetime.now(UTC).isoformat(), "cpu_usage": 5}
    with psycopg.connect(database_url) as connection:
        for place, entry in enumerate((good | {"memory_usage_mb": 7}, good)):
            connection.execute(
                "INSERT INTO rejected_samples (batch_id, position, node, job_id, reason, payload)"
                " VALUES ('b', %s, 'n1', '1', %s, %s)",
                [place, REASON if place == 0 else "samples[1].memory_usage_mb: \x1b[2J missing",
                 json.dumps(entry)],
            )  # fmt: skip
    return database_url


def test_list_shows_rejected_samples_with_reasons(run: Run, rejected_url: str) -> None:
    shown = run("rejected", "list", "--database-url", rejected_url).output
    assert REASON in " ".join(shown.split())
    assert "\x1b[2J" not in shown
    listed = json.loads(
        run("rejected", "list", "--json", "--limit=1", "--database-url", rejected_url).output
    )
    assert (listed["total"], listed["rejected"][0]["reason"]) == (2, REASON)
    assert (
        "no matching samples"
        in run("rejected", "list", "--job=9", "--database-url", rejected_url).output
    )


def test_replay_counts_results(run: Run, rejected_url: str) -> None:
    assert run("rejected", "replay", "--database-url", rejected_url).output == (
        "stored: 0\nduplicates: 0\nwaiting for their job: 1\nstill rejected: 1\n"
    )


def test_redrive_puts_dead_letters_on_queue(run: Run, rejected_url: str) -> None:
    with psycopg.connect(rejected_url) as connection:
        connection.execute("INSERT INTO sample_queue_dead VALUES (1, 'x', now(), 5, 'worn out')")
    assert (
        run("rejected", "redrive", "--database-url", rejected_url).output
        == "back on the queue: 1\n"
    )


def test_missing_database_prints_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    result = run("rejected", "list")
    assert (result.status, result.errors.count("\n")) == (1, 1)
