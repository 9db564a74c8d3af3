"""What is away or hangs costs no more than it must: a clear error in time, or its own series."""

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
    """A queue that does not answer before it is told to."""

    def __init__(self) -> None:
        self.told = threading.Event()

    def depth(self) -> QueueDepth:
        self.told.wait(30)
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


def test_a_queue_that_is_away_costs_only_its_own_series(
    connect: Callable[[], SingleConnection],
) -> None:
    source = PostgresScrape(connect(), OperationTimings())
    text = Scrape(source, KnownQueue(None), write).render()  # type: ignore[arg-type]
    assert "hpc_collector_queue_depth" not in text
    assert "hpc_job_total 0" in text


def test_a_queue_that_hangs_costs_only_its_own_series(
    connect: Callable[[], SingleConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.1)
    source, queue = PostgresScrape(connect(), OperationTimings()), SilentQueue()
    text = Scrape(source, queue, write).render()  # type: ignore[arg-type]
    queue.told.set()
    assert "hpc_collector_queue_depth" not in text
    assert "hpc_job_total 0" in text


def test_a_database_that_is_away_gives_no_half_page() -> None:
    with pytest.raises(UnavailableError):
        scrape_of("postgresql://nobody@127.0.0.1:1/none").render()


def test_a_database_that_does_not_answer_is_given_up_within_two_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        scrape = scrape_of(f"postgresql://x@127.0.0.1:{silent.getsockname()[1]}/x")
        assert seconds_until_unavailable(scrape) < 2.5


def test_a_table_that_is_locked_is_given_up_within_two_seconds(
    scrape: Scrape, database_url: str
) -> None:
    with psycopg.connect(database_url) as migration:
        migration.execute("LOCK TABLE job_nodes")
        assert seconds_until_unavailable(scrape) < 2.5
    assert scrape.render()


def test_a_database_that_freezes_is_given_up_within_two_seconds_and_found_again(
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


def test_a_database_that_freezes_between_two_rows_gives_no_half_page(
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


def test_a_database_that_is_slow_but_heard_is_not_given_up(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        with watched(connection, seconds=0.4) as heard:
            for _ in range(3):
                connection.execute("SELECT pg_sleep(0.2)")
                heard()
        with pytest.raises(HungError), watched(connection, seconds=0.1):
            connection.execute("SELECT pg_sleep(5)")
