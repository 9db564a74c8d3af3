"""``hpcobs migrate`` brings a database up to date, and fails with one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from hpcobs.storage.migrations import available

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Run


def test_migrate_applies_missing_migrations_once(run: Run, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE to_migrate")
    url = make_conninfo(postgres_url, dbname="to_migrate")
    first, second = run("migrate", "--database-url", url), run("migrate", "--database-url", url)
    assert first.output.splitlines() == [f"applied {name}" for name in available()]
    assert (second.status, second.output) == (0, "up to date\n")


def test_database_is_read_from_environment(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    assert run("migrate").output == "up to date\n"


def test_missing_database_names_variable(run: Run) -> None:
    result = run("migrate")
    assert result.status == 1
    assert "DATABASE_URL" in result.errors


def test_unreachable_database_prints_one_line(run: Run) -> None:
    result = run("migrate", "--database-url", "postgresql://nobody@127.0.0.1:1/none")
    assert result.status == 1
    assert result.errors.startswith("hpcobs: the database cannot be reached: ")
    assert result.errors.count("\n") == 1


def test_invalid_url_prints_one_line(run: Run) -> None:
    result = run("migrate", "--database-url", "nonsense")
    assert result.status == 1
    assert result.errors.count("\n") == 1


def test_newer_database_is_refused(run: Run, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO schema_migrations (name) VALUES ('9999_later')")
    result = run("migrate", "--database-url", database_url)
    assert (result.status, result.output) == (1, "")
    assert result.errors.startswith(
        "hpcobs: nothing was migrated: the database is at migration 9999_later, "
    )
    assert result.errors.count("\n") == 1


def test_wrong_password_names_variable(run: Run, database_url: str) -> None:
    wrong = make_conninfo(database_url, password="wrong")
    for command in (("migrate",), ("retention", "--dry-run"), ("rejected", "list")):
        result = run(*command, "--database-url", wrong)
        assert result.status == 1
        assert "the database rejects the password" in result.errors
        assert "DATABASE_URL" in result.errors
        assert result.errors.count("\n") == 1
