"""A connection is opened when needed, checked after a pause and reopened when it was lost."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.settings import Settings
from hpcobs.storage import connections as module
from hpcobs.storage.connections import PooledConnections, SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.store import PostgresStore
from hpcobs.storage.timings import OperationTimings
from tests.builders import AUDIT, running_job

if TYPE_CHECKING:
    from tests.stores import Query

KILL_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
READ_ONLY = """
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {}',
                       current_database());
    END $$
"""


def test_connection_lost_while_idle_is_reopened(
    store: PostgresStore, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHECK_AFTER_IDLE_SECONDS", 0.0)
    store.ping()
    query(KILL_OTHERS)
    store.ping()


def test_connection_lost_in_use_fails_once(store: PostgresStore, query: Query) -> None:
    store.ping()
    query(KILL_OTHERS)
    with pytest.raises(UnavailableError):
        store.ping()
    store.ping()


def test_unreachable_database_is_unavailable() -> None:
    nowhere = connect_arguments(Settings(database_url="postgresql://nobody@127.0.0.1:1/none"))
    with pytest.raises(UnavailableError, match="not available"):
        PostgresStore(SingleConnection(nowhere), OperationTimings()).ping()


def test_read_only_database_is_reconnected(store: PostgresStore, query: Query) -> None:
    store.ping()
    query(READ_ONLY.format("on"))
    query(KILL_OTHERS)
    for _ in ("lost", "opened again, to read only"):
        with pytest.raises(UnavailableError):
            store.jobs.create(running_job(), AUDIT)
    query(READ_ONLY.format("off"))
    assert store.jobs.create(running_job(), AUDIT)


def test_threads_share_pool_within_limit(database_url: str, query: Query) -> None:
    settings = Settings(database_url=database_url, db_max_conns=3, db_min_conns=1)
    pool = PooledConnections(connect_arguments(settings), settings)
    store = PostgresStore(pool, OperationTimings())
    threads = [threading.Thread(target=store.ping) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ((count,),) = query(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()"
    )
    assert 1 <= count <= 3
    pool.close()


def test_each_pooled_connection_has_fresh_arguments(database_url: str) -> None:
    settings = Settings(database_url=database_url, db_max_conns=3, db_min_conns=1)
    fixed, issued = connect_arguments(settings)(), itertools.count()

    def arguments() -> dict[str, Any]:
        return {**fixed, "application_name": f"token {next(issued)}"}

    pool, names = PooledConnections(arguments, settings), list[str]()
    for _ in range(2):
        with ExitStack() as lent:
            for _ in range(3):
                connection = lent.enter_context(pool.connection())
                names.append(connection.info.parameter_status("application_name") or "")
                lent.callback(connection.close)
    pool.close()
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("pooled", [False, True])
def test_hung_database_is_unavailable_until_it_responds(
    database_url: str, monkeypatch: pytest.MonkeyPatch, *, pooled: bool
) -> None:
    monkeypatch.setattr(module, "CHECK_AFTER_IDLE_SECONDS", 0.0)
    settings = Settings(database_url=database_url, db_max_conns=1, db_min_conns=1)
    arguments = connect_arguments(settings)
    connections = PooledConnections(arguments, settings) if pooled else SingleConnection(arguments)
    store = PostgresStore(connections, OperationTimings())
    with connections.connection() as connection:
        backend = connection.info.backend_pid
    # The process stays stopped until the end of the try, so a call that waited for it would hang.
    os.kill(backend, signal.SIGSTOP)
    try:
        with suppress(UnavailableError):
            store.ping()
            assert pooled, "a single connection does not look for another one"
    finally:
        os.kill(backend, signal.SIGCONT)
    store.ping()
    connections.close()
