"""The suite's PostgreSQL: one real server a worker, a fresh, migrated database for each test."""

from __future__ import annotations

import itertools
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from hpcobs.storage.migrations import migrate
from hpcobs_local.postgres.server import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

# What a test writes need not outlive the machine.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
TEMPLATE = "migrated"

_numbers = itertools.count()

# A suite in the background may ignore it, and what the suite starts would then ignore it too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the worker's own; the URL of a database with nothing in it."""
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), settings=FAST) as server:
        yield server.url


@pytest.fixture(scope="session")
def template(postgres_url: str) -> str:
    """The server's URL, after a migrated database was made to copy from."""
    _execute(postgres_url, f"CREATE DATABASE {TEMPLATE}")
    migrate(make_conninfo(postgres_url, dbname=TEMPLATE))
    return postgres_url


@pytest.fixture
def database_url(template: str) -> Iterator[str]:
    """A fresh, migrated database for one test."""
    with _fresh(template) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(template: str) -> Iterator[str]:
    """A fresh, migrated database for the tests of one module, which only read it."""
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
