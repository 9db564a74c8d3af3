"""Migrations are applied once, all or nothing, whoever comes first."""

from __future__ import annotations

import threading

import psycopg

from hpcobs.storage.migrations import available, migrate


def empty(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def test_all_migrations_apply_to_an_empty_database_and_then_none(database_url: str) -> None:
    empty(database_url)
    assert migrate(database_url) == list(available())
    assert migrate(database_url) == []


def test_two_deployments_at_once_apply_each_migration_once(database_url: str) -> None:
    empty(database_url)
    applied: list[str] = []
    threads = [
        threading.Thread(target=lambda: applied.extend(migrate(database_url))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == list(available())
