"""A collector that is killed at any moment loses no sample and counts none twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.collector.batches import many

if TYPE_CHECKING:
    from tests.collector.conftest import Site

KILLS = 25

# The very handler, invoked again and again, as its schedule does.
COLLECTOR = """
import sys
from functions.collector.handler import lambda_handler

class Context:
    function_name = "collector"
    def get_remaining_time_in_millis(self):
        return 15_000

print("ready", flush=True)
while True:
    lambda_handler({}, Context())
"""


@pytest.mark.timeout(180)
def test_a_collector_killed_at_many_points_loses_nothing_and_counts_nothing_twice(
    site: Site, database_url: str
) -> None:
    chance = random.Random(7)
    jobs = [str(number) for number in range(1, 5)]
    site.start_jobs(*jobs, nodes=("n1", "n2"))
    batches = many(site.sent, jobs=4, nodes=2, rounds=400, chance=chance, per_batch=4)
    chance.shuffle(batches)
    share = len(batches) // KILLS + 1
    for first in range(0, len(batches), share):
        site.post(*batches[first : first + share])
        _run_and_kill(database_url, after_seconds=chance.uniform(0, 0.12))
        # What the killed one had taken is seen again at once, as if its time had run out.
        site.query("UPDATE sample_queue SET visible_at = now(), receive_count = 0")
    site.collect()
    site.check(*jobs)
    assert site.queue.depth().visible == 0
    assert site.counter("collector_samples") == len(site.sent.samples)


def _run_and_kill(database_url: str, *, after_seconds: float) -> None:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "CLUSTER_NAME": "lab",
        "COLLECT_INTERVAL_SECONDS": "3600",
        "AWS_LAMBDA_FUNCTION_NAME": "collector",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", COLLECTOR], env=environment, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(after_seconds)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
