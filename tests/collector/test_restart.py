"""The database stops in the middle of the collector's work, and starts again."""

from __future__ import annotations

import random
import signal
import threading
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.queue.postgres import PostgresQueue
from hpcobs.service.collection import Collection
from hpcobs.service.ingestion import Ingestion
from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.migrations import migrate
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.timings import OperationTimings
from hpcobs_local.postgres.server import EmbeddedPostgres
from tests.collector.batches import many
from tests.collector.conftest import RULES, Site
from tests.waiting import WAIT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAST_STOP, CRASH = signal.SIGINT, signal.SIGQUIT


class Server:
    """A PostgreSQL server that the test may stop."""

    def __init__(self, folder: Path) -> None:
        # Commits must survive a crash of the server, which fsync is not needed for.
        self.postgres = EmbeddedPostgres(folder, settings={"fsync": "off"})
        self.url = self.postgres.start()
        self._connections: list[SingleConnection] = []

    def connect(self) -> SingleConnection:
        made = SingleConnection(connect_arguments(Settings(database_url=self.url)))
        self._connections.append(made)
        return made

    def stop(self) -> None:
        for connection in self._connections:
            connection.close()
        self.postgres.stop()

    def query(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return [] if cursor.description is None else cursor.fetchall()

    def restart(self, number: int) -> None:
        process = self.postgres._process
        assert process is not None
        process.send_signal(number)
        process.wait(WAIT_SECONDS)
        assert self.postgres.start() == self.url


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "postgres")
    migrate(made.url)
    yield made
    made.stop()


@pytest.mark.parametrize("how", [FAST_STOP, CRASH])
def test_database_restart_neither_loses_nor_repeats_samples(server: Server, how: int) -> None:
    site = Site(server.connect, server.query)
    jobs = [str(number) for number in range(1, 5)]
    site.start_jobs(*jobs, nodes=("n1", "n2"))
    batches = many(site.sent, jobs=4, nodes=2, rounds=340, chance=random.Random(3), per_batch=1)
    site.post(*batches)
    writer = PostgresSampleWriter(server.connect(), OperationTimings())
    collection = Collection(PostgresQueue(server.connect()), writer, RULES)
    unavailable = threading.Event()
    done = threading.Event()

    def collect_repeatedly() -> None:
        while not done.is_set():
            try:
                collection.run(lambda: 12.0)
            except UnavailableError:
                unavailable.set()
                time.sleep(0.01)

    collector = threading.Thread(target=collect_repeatedly, daemon=True)
    collector.start()
    chance = random.Random(5)
    for _ in range(4):
        time.sleep(chance.uniform(0.01, 0.1))
        server.restart(how)
        server.query("UPDATE sample_queue SET visible_at = now(), receive_count = 0")
        Ingestion(PostgresQueue(server.connect()), home_cluster="lab").accept(
            chance.choice(batches), principal_node=None
        )
    done.set()
    collector.join()
    assert unavailable.is_set()
    Site(server.connect, server.query).collect()
    site.check(*jobs)
