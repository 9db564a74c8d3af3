"""A thread that keeps storing samples while retention runs."""

from __future__ import annotations

from itertools import count
from threading import Event, Thread
from typing import Self

import psycopg

from tests.builders import T0
from tests.waiting import WAIT_SECONDS

INSERT = (
    b'INSERT INTO metric_samples (job_id, "timestamp", node, cpu_usage, memory_usage_mb)'
    b" VALUES (%s, %s, 'n1', 1, 1)"
)


class Writer:
    """Commits one sample after the other until its block ends. The block raises its error."""

    def __init__(self, url: str) -> None:
        self.written = 0
        self._url = url
        self._error: Exception | None = None
        self._started = Event()
        self._stop = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(WAIT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                for number in count():
                    self._write(connection, str(number))
                    if self._stop.is_set():
                        break
        except psycopg.Error as error:
            self._error = error
        self._started.set()

    def _write(self, connection: psycopg.Connection, job_id: str) -> None:
        connection.execute(INSERT, [job_id, T0])
        self.written += 1
        self._started.set()
