"""The suite's PostgreSQL: one real server a worker, a fresh, migrated database for each test."""

from __future__ import annotations

import itertools
import re
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from xdist.scheduler import LoadScopeScheduling

from hpcobs.storage.migrations import migrate
from hpcobs_local.postgres.server import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from xdist.remote import Producer

# The data of a test need not survive a crash of the machine.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "migrated"

_numbers = itertools.count()

SLURM = Path(__file__).parent / "slurm"
SLURM_TEST = re.compile(r"tests/slurm/.*\[(\d\d\.\d\d)[]-]")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Keeps each file's tests in one worker, and all tests on a release of Slurm in one."""

    def _split_scope(self, nodeid: str) -> str:
        of_slurm = SLURM_TEST.search(nodeid)
        return f"slurm {of_slurm[1]}" if of_slurm else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    """Replace the scheduler of ``--dist``."""
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests on Slurm first: they take long, but mostly wait, while other tests can run."""
    items.sort(key=lambda item: SLURM not in item.path.parents)


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
