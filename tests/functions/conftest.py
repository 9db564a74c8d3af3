"""What the function tests share: a site on a fresh database, and a look behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tests.functions.sites import site_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functions.gateway import Gateway

TABLES = (
    "jobs", "job_nodes", "job_audit_events", "nodes", "metric_samples", "gpu_samples",
    "waiting_samples", "rejected_samples", "sample_queue",
)  # fmt: skip


@pytest.fixture
def site(database_url: str) -> Iterator[Gateway]:
    """A site on a database of the test's own."""
    with site_on(database_url) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def shared_site(module_database_url: str) -> Iterator[Gateway]:
    """A site for the tests of one module, which leave nothing in it."""
    with site_on(module_database_url) as gateway:
        yield gateway


@pytest.fixture
def rows(database_url: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Run a statement behind the site's back; the rows it gives."""

    def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters or None)
            return [] if cursor.description is None else cursor.fetchall()

    return run


@pytest.fixture
def content(module_database_url: str) -> Callable[[], dict[str, int]]:
    """Count what the shared site's tables hold."""

    def count() -> dict[str, int]:
        with psycopg.connect(module_database_url, autocommit=True) as connection:
            return {
                table: connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0]  # type: ignore[index]
                for table in TABLES
            }

    return count
