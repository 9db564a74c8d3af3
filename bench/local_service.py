"""Start and stop of ``hpcobs up``, on new data and on existing data."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from bench.measuring import Figure, show, timed

ROUNDS = 5
TIMEOUT_SECONDS = 120.0
COMMAND = (sys.executable, "-P", "-m", "hpcobs_cli", "up", "--port=0", "--data-dir")


def run() -> None:
    """Measure the time until the first response, and from Ctrl-C to the end of the process."""
    first_starts: list[float] = []
    later_starts: list[float] = []
    stops: list[float] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            data = Path(folder) / "data"
            for starts in (first_starts, later_starts):
                start, stop = _round(data)
                starts.append(start)
                stops.append(stop)
    show(
        f"Local service with its simulator, {ROUNDS} rounds",
        Figure("start on existing data", "s", later_starts),
        [Figure("start on new data", "s", first_starts), Figure("stop", "s", stops)],
        target="a stop within 5 s",
    )


def _round(data: Path) -> tuple[float, float]:
    service = subprocess.Popen(
        [*COMMAND, str(data)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        start = timed(lambda: _wait_until_ready(data, service))
        os.killpg(service.pid, signal.SIGINT)
        return start, timed(lambda: service.wait(TIMEOUT_SECONDS))
    finally:
        service.kill()


def _wait_until_ready(data: Path, service: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not _is_ready(data / "url"):
        if service.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("hpcobs up did not start")
        time.sleep(0.02)


def _is_ready(url_file: Path) -> bool:
    try:
        response = httpx.get(f"{url_file.read_text().strip()}/v1/health")
    except (OSError, httpx.HTTPError):
        return False
    return response.is_success
