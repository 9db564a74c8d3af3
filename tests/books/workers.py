"""The collector and retention as further processes beside the service's, with clocks of their own.

One process imports the real handlers, and forks for each run. Each run can be killed at any moment.
libfaketime moves its clock.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.local.processes import alive
from tests.local.services import clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARIES = [*Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")]
CAN_MOVE_CLOCKS = bool(LIBRARIES)
"""Whether Debian's package libfaketime is installed."""

RUN_SECONDS = 60.0

FORKING = """
import json, os, signal, sys
from functions.collector.handler import lambda_handler as collector
from functions.retention.handler import lambda_handler as retention
import time

class Context:
    def __init__(self, name, seconds):
        self.function_name, self.until = name, time.monotonic() + seconds
    def get_remaining_time_in_millis(self):
        return max(0, int((self.until - time.monotonic()) * 1000))

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.environ.update(order["environ"], AWS_LAMBDA_FUNCTION_NAME=order["function"])
        handler = {"collector": collector, "retention": retention}[order["function"]]
        context = Context(order["function"], order["seconds"])
        try:
            result = {"report": handler(order["event"], context)}
        except Exception as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        with open(order["result"] + ".part", "w") as file:
            json.dump(result, file, default=str)
        os.rename(order["result"] + ".part", order["result"])
        os._exit(0)
    print(pid, flush=True)
"""


@dataclass(frozen=True)
class Work:
    """A run of a function, under way or over."""

    pid: int
    result: Path

    def kill(self) -> None:
        """Kill it at once."""
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    @property
    def over(self) -> bool:
        """Whether its process has ended."""
        return not alive(self.pid)

    def wait(self) -> dict[str, Any]:
        """Wait until it is over. Return its report, or its error, or nothing if it was killed."""
        deadline = time.monotonic() + RUN_SECONDS + 30
        while not self.over:
            assert time.monotonic() < deadline, f"the run {self.result} does not end"
            time.sleep(0.01)
        return json.loads(self.result.read_text()) if self.result.exists() else {}


class Workers:
    """Starts runs on a database, of which ``environ`` has the URL."""

    def __init__(self, orders: IO[str], pids: IO[str], folder: Path) -> None:
        self._orders, self._pids, self._folder = orders, pids, folder
        self._count = 0

    def start(
        self,
        function: str,
        environ: dict[str, str],
        *,
        ahead: str = "+0",
        event: dict[str, Any] | None = None,
    ) -> Work:
        """Start a run of a function, whose clock is ``ahead`` of the true one (``+30d``)."""
        self._count += 1
        result = self._folder / f"{self._count}.json"
        order = {
            "function": function,
            "environ": {**environ, "FAKETIME": ahead},
            "event": event or {},
            "seconds": RUN_SECONDS,
            "result": str(result),
        }
        self._orders.write(json.dumps(order) + "\n")
        self._orders.flush()
        return Work(int(self._pids.readline()), result)


@contextmanager
def workers(folder: Path) -> Iterator[Workers]:
    """Start the process that forks. Its log is ``folder / "workers.log"``."""
    folder.mkdir()
    with (
        (folder / "workers.log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", FORKING],
            env={**clean_environment(), **moving_clock("+0"), "POWERTOOLS_LOG_LEVEL": "WARNING"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        yield Workers(process.stdin, process.stdout, folder)
        process.stdin.close()


def moving_clock(ahead: str) -> dict[str, str]:
    """Return the variables that give a process a clock of its own, if that can be done here."""
    if not CAN_MOVE_CLOCKS:
        return {}
    # Only the wall clock: time limits are measured with the other.
    return {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME": ahead,
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(Path(__file__).with_name("moved_clock")),
    }
