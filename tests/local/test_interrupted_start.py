"""A stop at any moment of a start leaves no process, and the next start works.

HOW_MANY_STOPS raises the number of tries: `HOW_MANY_STOPS=200 make test ARGS=tests/local`.
"""

from __future__ import annotations

import os
import random
import signal
import time
from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs_local.postgres.server import EmbeddedPostgres
from tests.local.processes import wait_until_gone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.local.conftest import Program
    from tests.local.services import Service

TRIES = int(os.environ.get("HOW_MANY_STOPS", "10"))
STOP_SECONDS = 60.0
"""Bound of a stop on a busy machine. An idle one takes less than a second."""

STARTED = """
import asyncio, pathlib, signal, sys
from hpcobs_local.postgres.supervised import SupervisedPostgres

async def main():
    postgres = SupervisedPostgres(pathlib.Path(sys.argv[1]))
    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    print("begun", flush=True)
    try:
        await postgres.start()
        print("ready", flush=True)
        await postgres.supervise()
    finally:
        await postgres.stop()

asyncio.run(main())
"""


def test_stop_while_postgres_starts_leaves_nothing(tmp_path: Path, program: Program) -> None:
    longest = 0.5
    for number in range(TRIES):
        # Swept from no data to a server that is ready.
        folder = tmp_path / f"data{number % 2}"
        run = program(STARTED, str(folder))
        assert run.process.stdout is not None
        assert run.process.stdout.readline() == "begun\n"
        began = time.monotonic()
        time.sleep(longest * number / TRIES)
        run.process.send_signal(signal.SIGTERM)
        left = wait_until_gone(run.mark, STOP_SECONDS)
        assert not left, f"after {longest * number / TRIES:.3f} s: {left}"
        if run.process.stdout.readline() != "ready\n":
            longest = max(longest, (time.monotonic() - began))
        assert not (folder / "data" / "postmaster.pid").exists()
    for folder in tmp_path.iterdir():
        with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


SIGNALS = [
    number
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
    # Under nohup the service ignores SIGHUP, as it should.
    if signal.getsignal(number) is not signal.SIG_IGN
]


def test_signal_at_random_moment_leaves_no_process(make: Callable[..., Service]) -> None:
    service = make("--nodes=2", "--jobs=1")
    began = time.monotonic()
    service.start()
    longest = time.monotonic() - began
    service.stop()
    chance = random.Random(12)
    for number in range(TRIES // 2):
        wait, repeats = chance.uniform(0, longest), chance.randint(1, 3)
        sent = SIGNALS[number % len(SIGNALS)]
        service.begin()
        time.sleep(wait)
        for _ in range(repeats - 1):
            service.send(sent)
            time.sleep(chance.uniform(0, 0.3))
        try:
            service.stop(sent, alone=sent == signal.SIGKILL)
        except AssertionError as error:
            pytest.fail(f"{repeats} × {sent.name} after {wait:.3f} s: {error}")
        assert not (service.folder / "postgres" / "data" / "postmaster.pid").exists()
    with service.start():
        assert service.get("/v1/health")["status"] == "healthy"
