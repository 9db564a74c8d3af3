"""``hpcobs migrate`` brings a database up to date, and says what is wrong in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from hpcobs.storage.migrations import available

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Run


def test_it_applies_what_is_missing_and_then_nothing(run: Run, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE to_migrate")
    url = make_conninfo(postgres_url, dbname="to_migrate")
    first, second = run("migrate", "--database-url", url), run("migrate", "--database-url", url)
    assert first.output.splitlines() == [f"applied {name}" for name in available()]
    assert (second.status, second.output) == (0, "up to date\n")


def test_it_takes_the_database_from_the_environment(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert run("migrate").output == "up to date\n"


def test_without_a_database_it_asks_for_one(run: Run) -> None:
    result = run("migrate")
    assert result.status == 1
    assert "DATABASE_URL" in result.errors


def test_a_database_that_cannot_be_reached_is_one_line(run: Run) -> None:
    result = run("migrate", "--database-url", "postgresql://nobody@127.0.0.1:1/none")
    assert result.status == 1
    assert result.errors.startswith("hpcobs: the database cannot be migrated: ")
    assert result.errors.count("\n") == 1


def test_what_is_no_url_is_one_line(run: Run) -> None:
    result = run("migrate", "--database-url", "nonsense")
    assert result.status == 1
    assert result.errors.count("\n") == 1
