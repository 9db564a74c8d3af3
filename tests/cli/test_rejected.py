"""``hpcobs rejected`` shows what was set aside, and has it taken in."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

REASON = "job_id: no such job was heard of"


@pytest.fixture
def aside(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database in which two samples were set aside, one of them for good."""
    for name in ("DATABASE_URL", "DB_MAX_CONNS", "DB_MIN_CONNS"):
        monkeypatch.setenv(name, "")  # the command sets them: put back afterwards
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


def test_what_was_set_aside_is_listed_with_its_reason(run: Run, aside: str) -> None:
    shown = run("rejected", "list", "--database-url", aside).output
    assert REASON in " ".join(shown.split())
    assert "\x1b[2J" not in shown
    told = json.loads(
        run("rejected", "list", "--json", "--limit=1", "--database-url", aside).output
    )
    assert (told["total"], told["rejected"][0]["reason"]) == (2, REASON)
    assert "no such samples" in run("rejected", "list", "--job=9", "--database-url", aside).output


def test_a_replay_tells_what_became_of_the_samples(run: Run, aside: str) -> None:
    assert run("rejected", "replay", "--database-url", aside).output == (
        "stored: 0\nknown already: 0\nwait for their job: 1\nstill wrong, and kept: 1\n"
    )


def test_dead_letters_are_put_back_on_the_queue(run: Run, aside: str) -> None:
    with psycopg.connect(aside) as connection:
        connection.execute("INSERT INTO sample_queue_dead VALUES (1, 'x', now(), 5, 'worn out')")
    assert run("rejected", "redrive", "--database-url", aside).output == "back on the queue: 1\n"


def test_without_a_database_there_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")
    result = run("rejected", "list")
    assert (result.status, result.errors.count("\n")) == (1, 1)
