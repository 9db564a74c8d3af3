"""The suite's PostgreSQL: one real server a worker, a fresh, migrated database for each test."""

from __future__ import annotations

import itertools
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hpcobs.storage.migrations import migrate
from hpcobs_local.postgres.server import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

# The data of a test need not survive a crash of the machine.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "migrated"

_numbers = itertools.count()

HERE = Path(__file__).parent
SLURM = HERE / "slurm"


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep each file's tests in one worker, and all tests on a release of Slurm.

    Those take long, but mostly wait. So they run first, while other workers use the CPUs.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: SLURM not in item.path.parents)


def _group(item: pytest.Item) -> str:
    of_test = getattr(item, "callspec", None)
    release = of_test.params.get("release") if of_test else None
    return (
        f"slurm {release}"
        if release and SLURM in item.path.parents
        else str(item.path.relative_to(HERE))
    )


# A shell starts background jobs with SIGINT ignored, and processes that tests start inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a server for this worker. Yield the URL of an empty database."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), settings=FAST) as server:
        yield server.url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """Create a migrated database to copy from. Return the server's URL."""
    _execute(postgres_url, f"CREATE DATABASE {TEMPLATE}")
    migrate(make_conninfo(postgres_url, dbname=TEMPLATE))
    return postgres_url


@pytest.fixture
def database_url(template: str) -> Iterator[str]:
    """Create a fresh, migrated database for one test. Yield its URL."""
    with _fresh(template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(template: str) -> Iterator[str]:
    """Create a fresh, migrated database for the tests of one module, which only read it."""
    with _fresh(template) as url:
        yield url


def _fresh(server: str) -> AbstractContextManager[str]:
    return _database(server, f"test_{next(_numbers)}")


@contextmanager
def _database(server: str, name: str) -> Iterator[str]:
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    yield make_conninfo(server, dbname=name)
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(server: str, statement: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(statement.encode())
