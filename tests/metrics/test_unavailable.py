"""Unavailable or hanging parts: a clear error within the limit, or only their series missing."""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.exposition.text import write
from hpcobs.service import scrape as module
from hpcobs.service.scrape import Scrape
from hpcobs.settings import Settings
from hpcobs.storage.connections import HungError, SingleConnection, watched
from hpcobs.storage.conninfo import CONNECT_TIMEOUT_SECONDS, connect_arguments
from hpcobs.storage.queries import load
from hpcobs.storage.scrape import SILENCE_SECONDS, PostgresScrape
from hpcobs.storage.timings import OperationTimings
from tests.metrics.reading import KnownQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.ports.queue import QueueDepth
    from hpcobs.ports.scrape import Snapshot
    from tests.stores import Query


class SilentQueue:
    """A queue that does not respond before it is released."""

    def __init__(self) -> None:
        self.released = threading.Event()

    def depth(self) -> QueueDepth:
        self.released.wait(600)
        raise UnavailableError("at last")


def scrape_of(url: str) -> Scrape:
    settings = Settings(database_url=url)
    source = PostgresScrape(
        SingleConnection(connect_arguments(settings)), OperationTimings(), home_cluster="lab"
    )
    return Scrape(source, KnownQueue(None), write)  # type: ignore[arg-type]


def reason_of_failure(scrape: Scrape) -> BaseException | None:
    """Return the driver's error, which shows the limit that ended the scrape."""
    with pytest.raises(UnavailableError) as caught:
        scrape.render()
    return caught.value.__cause__


def test_limits_leave_two_seconds_for_response() -> None:
    assert CONNECT_TIMEOUT_SECONDS <= 2
    assert SILENCE_SECONDS < 2
    assert b"lock_timeout = '1500ms'" in load("scrape")["begin"]


def test_unavailable_queue_hides_only_its_series(
    connect: Callable[[], SingleConnection],
) -> None:
    source = PostgresScrape(connect(), OperationTimings(), home_cluster="lab")
    text = Scrape(source, KnownQueue(None), write).render()  # type: ignore[arg-type]
    assert "hpc_collector_queue_depth" not in text
    assert "hpc_job_total 0" in text


def test_hanging_queue_hides_only_its_series(
    connect: Callable[[], SingleConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.1)
    source, queue = PostgresScrape(connect(), OperationTimings(), home_cluster="lab"), SilentQueue()
    text = Scrape(source, queue, write).render()  # type: ignore[arg-type]
    queue.released.set()
    assert "hpc_collector_queue_depth" not in text
    assert "hpc_job_total 0" in text


def test_absent_database_gives_no_partial_page() -> None:
    with pytest.raises(UnavailableError):
        scrape_of("postgresql://nobody@127.0.0.1:1/none").render()


def test_silent_database_fails_by_connect_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        scrape = scrape_of(f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x")
        assert isinstance(reason_of_failure(scrape), psycopg.errors.ConnectionTimeout)


def test_locked_table_fails_by_lock_timeout(scrape: Scrape, database_url: str) -> None:
    with psycopg.connect(database_url) as migration:
        migration.execute("LOCK TABLE job_nodes")
        assert isinstance(reason_of_failure(scrape), psycopg.errors.LockNotAvailable)
    assert scrape.render()


def test_frozen_database_fails_fast_and_is_found_again(
    connect: Callable[[], SingleConnection],
) -> None:
    connections = connect()
    source = PostgresScrape(connections, OperationTimings(), home_cluster="lab")
    scrape = Scrape(source, KnownQueue(None), write)  # type: ignore[arg-type]
    with connections.connection() as connection:
        backend = connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)
    try:
        assert isinstance(reason_of_failure(scrape), HungError)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert scrape.render()


def test_freeze_between_rows_gives_no_partial_page(
    connect: Callable[[], SingleConnection], query: Query
) -> None:
    names = "generate_series(1, 20000)"
    query(f"INSERT INTO nodes (cluster_name, name) SELECT 'lab', 'n' || n FROM {names} AS n")
    connections = connect()
    with connections.connection() as connection:
        backend = connection.info.backend_pid

    def freeze_after_the_first(snapshot: Snapshot, *, openmetrics: bool) -> str:
        for _ in snapshot.nodes:
            os.kill(backend, signal.SIGSTOP)
        return write(snapshot, openmetrics=openmetrics)

    source = PostgresScrape(connections, OperationTimings(), home_cluster="lab")
    scrape = Scrape(source, KnownQueue(None), freeze_after_the_first)  # type: ignore[arg-type]
    try:
        assert isinstance(reason_of_failure(scrape), HungError)
    finally:
        os.kill(backend, signal.SIGCONT)


def test_slow_database_with_signs_of_life_succeeds(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        # Longer than the limit in total, and each step shorter by 2.2 s, for busy machines.
        with watched(connection, seconds=3.0) as report_progress:
            for _ in range(4):
                connection.execute("SELECT pg_sleep(0.8)")
                report_progress()
        with pytest.raises(HungError), watched(connection, seconds=0.1):
            connection.execute("SELECT pg_sleep(60)")
