"""What the function tests share: a site on a fresh database, and a look behind it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from hpcobs import bootstrap
from tests.functions.gateway import SECRET, Gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLES = (
    "jobs", "job_nodes", "job_audit_events", "nodes", "metric_samples", "gpu_samples",
    "waiting_samples", "rejected_samples", "sample_queue",
)  # fmt: skip


@contextmanager
def _site(url: str) -> Iterator[Gateway]:
    environment = {
        "DATABASE_URL": url,
        "DB_MAX_CONNS": "1",
        "DB_MIN_CONNS": "0",
        "AUTH_SECRET": SECRET,
        "CLUSTER_NAME": "lab",
        "SCHEDULER_BACKEND": "slurm",
        "METRICS_RETENTION_DAYS": "3650",  # the tests' samples have fixed dates
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        bootstrap.reset()
        yield Gateway()
        bootstrap.reset()


@pytest.fixture
def site(database_url: str) -> Iterator[Gateway]:
    """A site on a database of the test's own."""
    with _site(database_url) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def shared_site(module_database_url: str) -> Iterator[Gateway]:
    """A site for the tests of one module, which leave nothing in it."""
    with _site(module_database_url) as gateway:
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
