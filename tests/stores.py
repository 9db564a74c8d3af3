"""Fixtures for tests on the real database: stores, each on a new connection, and plain SQL.

A folder's conftest imports the ones that its tests use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings

Query = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def timings() -> OperationTimings:
    return OperationTimings()


@pytest.fixture
def connect(database_url: str) -> Iterator[Callable[[], SingleConnection]]:
    """Yield a function that makes a connection like that of a Lambda environment."""
    opened: list[SingleConnection] = []

    def make() -> SingleConnection:
        opened.append(SingleConnection(connect_arguments(Settings(database_url=database_url))))
        return opened[-1]

    yield make
    for connections in opened:
        connections.close()


@pytest.fixture
def make_store(connect: Callable[[], SingleConnection]) -> Callable[[], PostgresStore]:
    """Return a function that makes a store on a new connection."""
    return lambda: PostgresStore(connect(), OperationTimings())


@pytest.fixture
def store(connect: Callable[[], SingleConnection], timings: OperationTimings) -> PostgresStore:
    return PostgresStore(connect(), timings)


@pytest.fixture
def query(database_url: str) -> Iterator[Query]:
    """Yield a function that runs a statement and returns its rows."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def run(statement: str, *parameters: object) -> list[tuple[Any, ...]]:
            cursor = connection.execute(statement.encode(), parameters or None)
            return [] if cursor.description is None else cursor.fetchall()

        yield run
