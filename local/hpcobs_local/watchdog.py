"""How the service watches its processes, and how they watch the service.

No process outlives the service, however it dies. One mechanism does that: each process reads from
a pipe (or a socket pair) whose other end only the service has. The kernel closes that end when the
service dies, even by SIGKILL, and the process reads the end of the file.

| process | reads | then |
|---|---|---|
| a function (``handler_process``) | its channel | exits at once, even during an invocation |
| the simulator | its standard input, in ``exit_with_service`` | exits at once |
| PostgreSQL | a ``Guard`` reads for it | gets its signal for a fast shutdown |
| initdb | a ``Guard`` reads for it | is killed, with its children |

PostgreSQL needs the guard because it does not read a pipe of ours, and because a SIGKILL would cost
a recovery at the next start. Linux's ``prctl(PR_SET_PDEATHSIG)`` is not used: macOS does not have
it, it sends one signal without a choice of what to do, and a child whose parent dies before the
call misses it.

In the other direction the service restarts processes that die: functions in ``Pool.maintain``,
PostgreSQL in ``SupervisedPostgres.supervise``, the simulator in ``RestartedProcess.run``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING

from hpcobs_local.logs import LogFile, pump

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.5
MAX_DELAY_SECONDS = 30.0
STABLE_SECONDS = 60.0


def exit_with_service(descriptor: int = 0) -> None:
    """Exit this process when the pipe on ``descriptor`` ends. Return at once."""
    Thread(target=_exit_at_end, args=(descriptor,), daemon=True).start()


def _exit_at_end(descriptor: int) -> None:
    # os.read and not sys.stdin: a thread that blocks in sys.stdin holds its lock, on which the
    # interpreter fails when it shuts down.
    with suppress(OSError):
        while os.read(descriptor, 4096):
            pass
    os._exit(0)


class RestartedProcess:
    """A Python module in a separate process, which is restarted when it ends."""

    def __init__(
        self, module: str, arguments: Sequence[str], environ: Mapping[str, str], logs: Path
    ) -> None:
        self.name = module.rpartition(".")[2]
        # -P: a file in the current folder must not be imported in place of a module.
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._environ = environ
        self._log = LogFile(logs / f"{self.name}.log")

    async def run(self) -> None:
        """Run the module until cancelled. Wait longer after each restart that fails soon."""
        failures = 0
        try:
            while True:
                started = time.monotonic()
                status = await self._run_once()
                stable = time.monotonic() - started > STABLE_SECONDS
                failures = 0 if stable else failures + 1
                delay = min(2.0 ** (failures - 1), MAX_DELAY_SECONDS)
                logger.error("%s ended (%s), restart in %g s", self.name, status, delay)
                await asyncio.sleep(delay)
        finally:
            self._log.close()

    async def _run_once(self) -> int:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,  # see exit_with_service
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environ,
            # Ctrl-C is for the service alone, which then stops its processes in order.
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            await pump(process.stdout, self._log)
            return await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await wait_or_kill(process, STOP_SECONDS)


async def wait_or_kill(process: Process, seconds: float) -> None:
    """Wait until the process ends. Kill it and its group after ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        kill_group(process)
        await process.wait()


def kill_group(process: Process) -> None:
    """Send SIGKILL to the process and its group, unless it has ended."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
