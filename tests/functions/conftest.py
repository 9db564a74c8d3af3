"""Fixtures of the function tests: a site on a fresh database, and access to its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.functions.sites import site_on
from tests.stores import query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functions.gateway import Gateway

__all__ = ["query"]

TABLES = (
    "jobs", "job_nodes", "job_audit_events", "nodes", "metric_samples", "gpu_samples",
    "waiting_samples", "rejected_samples", "sample_queue",
)  # fmt: skip


@pytest.fixture
def site(database_url: str) -> Iterator[Gateway]:
    """Provide a site on a database of the test's own."""
    with site_on(database_url) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def shared_site(module_database_url: str) -> Iterator[Gateway]:
    """Provide a site for one module, whose tests leave no rows."""
    with site_on(module_database_url) as gateway:
        yield gateway


@pytest.fixture
def content(module_database_url: str) -> Callable[[], dict[str, int]]:
    """Count the rows of the shared site's tables."""

    def count() -> dict[str, int]:
        with psycopg.connect(module_database_url, autocommit=True) as connection:
            return {
                table: connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()[0]  # type: ignore[index]
                for table in TABLES
            }

    return count
