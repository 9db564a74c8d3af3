"""A collector that is killed at any moment loses no sample and counts none twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from tests.collector.batches import many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.collector.conftest import Site

KILLS = 60

# The real handler, invoked repeatedly as by its schedule, in a new process for each line of input.
# Processes are forked, so that imports are made once.
COLLECTORS = """
import os, sys
from functions.collector.handler import lambda_handler
from hpcobs import bootstrap

class Context:
    function_name = "collector"
    def get_remaining_time_in_millis(self):
        return 15_000

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        with bootstrap.worker_connections().connection():
            print(os.getpid(), flush=True)
        while True:
            lambda_handler({}, Context())
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


def test_killed_collector_neither_loses_nor_repeats_samples(site: Site, database_url: str) -> None:
    chance = random.Random(7)
    jobs = [str(number) for number in range(1, 5)]
    site.start_jobs(*jobs, nodes=("n1", "n2"))
    batches = many(site.sent, jobs=4, nodes=2, rounds=300, chance=chance, per_batch=2)
    chance.shuffle(batches)
    share = len(batches) // (KILLS + 1)
    site.post(*batches[:share])
    with collectors(database_url) as (commands, reports):
        whole_run = _seconds_of_a_run(commands, reports, site)
        for first in range(share, len(batches), share):
            site.post(*batches[first : first + share])
            # A backlog takes longer. With one bound for all, it could only grow on a slow machine.
            runs = site.queue.depth().visible / share
            _run_and_kill(
                commands, reports, after_seconds=chance.uniform(0, 1.3 * runs * whole_run)
            )
            # The killed collector's messages become visible, as after their visibility time-out.
            site.query("UPDATE sample_queue SET visible_at = now(), receive_count = 0")
    report = site.collect()
    assert report.messages < len(batches) - share, "no collector committed before it was killed"
    site.check(*jobs)
    assert site.queue.depth().visible == 0
    assert site.counter("collector_samples") == len(site.sent.samples)


@contextmanager
def collectors(database_url: str) -> Iterator[tuple[IO[str], IO[str]]]:
    """Yield two pipes: a line to the first starts a collector, the second has its pid and end."""
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "CLUSTER_NAME": "lab",
        "COLLECT_INTERVAL_SECONDS": "3600",
        "AWS_LAMBDA_FUNCTION_NAME": "collector",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", COLLECTORS]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdin, process.stdout
        process.stdin.close()


def _seconds_of_a_run(commands: IO[str], reports: IO[str], site: Site) -> float:
    """Measure how long a collector takes on this machine until it has deleted its messages."""
    pid = _begun(commands, reports)
    began = time.monotonic()
    while site.query("SELECT id FROM sample_queue"):
        time.sleep(0.005)
    taken = time.monotonic() - began
    _kill(pid, reports)
    return taken


def _run_and_kill(commands: IO[str], reports: IO[str], *, after_seconds: float) -> None:
    pid = _begun(commands, reports)
    time.sleep(after_seconds)
    _kill(pid, reports)


def _begun(commands: IO[str], reports: IO[str]) -> int:
    commands.write("\n")
    commands.flush()
    return int(reports.readline())


def _kill(pid: int, reports: IO[str]) -> None:
    os.kill(pid, signal.SIGKILL)
    assert reports.readline() == "gone\n"
