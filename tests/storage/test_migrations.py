"""Migrations are applied once, all or none, by whichever caller is first."""

from __future__ import annotations

import threading

import psycopg

from hpcobs.storage.migrations import available, migrate


def empty(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def test_migrations_apply_once_to_empty_database(database_url: str) -> None:
    empty(database_url)
    assert migrate(database_url) == list(available())
    assert migrate(database_url) == []


def test_parallel_deployments_apply_migrations_once(database_url: str) -> None:
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
