"""Unavailable or hanging parts: a clear error within the limit, or only their series missing."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.exposition.text import write
from hpcobs.service import scrape as module
from hpcobs.service.scrape import Scrape
from hpcobs.settings import Settings
from hpcobs.storage.connections import HungError, SingleConnection, watched
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.scrape import PostgresScrape
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
        self.released.wait(30)
        raise UnavailableError("at last")


def scrape_of(url: str) -> Scrape:
    settings = Settings(database_url=url)
    source = PostgresScrape(SingleConnection(connect_arguments(settings)), OperationTimings())
    return Scrape(source, KnownQueue(None), write)  # type: ignore[arg-type]


def seconds_until_unavailable(scrape: Scrape) -> float:
    began = time.monotonic()
    with pytest.raises(UnavailableError):
        scrape.render()
    return time.monotonic() - began


def test_unavailable_queue_hides_only_its_series(
    connect: Callable[[], SingleConnection],
) -> None:
    source = PostgresScrape(connect(), OperationTimings())
    text = Scrape(source, KnownQueue(None), write).render()  # type: ignore[arg-type]
    assert "hpc_collector_queue_depth" not in text
    assert "hpc_job_total 0" in text


def test_hanging_queue_hides_only_its_series(
    connect: Callable[[], SingleConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.1)
    source, queue = PostgresScrape(connect(), OperationTimings()), SilentQueue()
    text = Scrape(source, queue, write).render()  # type: ignore[arg-type]
    queue.released.set()
    assert "hpc_collector_queue_depth" not in text
    assert "hpc_job_total 0" in text


def test_absent_database_gives_no_partial_page() -> None:
    with pytest.raises(UnavailableError):
        scrape_of("postgresql://nobody@127.0.0.1:1/none").render()


def test_silent_database_fails_within_two_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        scrape = scrape_of(f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x")
        assert seconds_until_unavailable(scrape) < 2.5


def test_locked_table_fails_within_two_seconds(scrape: Scrape, database_url: str) -> None:
    with psycopg.connect(database_url) as migration:
        migration.execute("LOCK TABLE job_nodes")
        assert seconds_until_unavailable(scrape) < 2.5
    assert scrape.render()


def test_frozen_database_fails_fast_and_is_found_again(
    connect: Callable[[], SingleConnection],
) -> None:
    connections = connect()
    source = PostgresScrape(connections, OperationTimings())
    scrape = Scrape(source, KnownQueue(None), write)  # type: ignore[arg-type]
    with connections.connection() as connection:
        backend = connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)
    try:
        assert seconds_until_unavailable(scrape) < 2.5
    finally:
        os.kill(backend, signal.SIGCONT)
    assert scrape.render()


def test_freeze_between_rows_gives_no_partial_page(
    connect: Callable[[], SingleConnection], query: Query
) -> None:
    query("INSERT INTO nodes (name) SELECT 'n' || n FROM generate_series(1, 20000) AS n")
    connections = connect()
    with connections.connection() as connection:
        backend = connection.info.backend_pid

    def freeze_after_the_first(snapshot: Snapshot, *, openmetrics: bool) -> str:
        for _ in snapshot.nodes:
            os.kill(backend, signal.SIGSTOP)
        return write(snapshot, openmetrics=openmetrics)

    source = PostgresScrape(connections, OperationTimings())
    scrape = Scrape(source, KnownQueue(None), freeze_after_the_first)  # type: ignore[arg-type]
    try:
        assert seconds_until_unavailable(scrape) < 2.5
    finally:
        os.kill(backend, signal.SIGCONT)


def test_slow_database_with_signs_of_life_succeeds(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        with watched(connection, seconds=0.4) as report_progress:
            for _ in range(3):
                connection.execute("SELECT pg_sleep(0.2)")
                report_progress()
        with pytest.raises(HungError), watched(connection, seconds=0.1):
            connection.execute("SELECT pg_sleep(5)")
