"""A part of the service that runs as a program of its own, started again when it dies."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from hpcobs_local.logs import LogFile, pump
from hpcobs_local.orphans import PARENT_PID

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

STOP_SECONDS = 1.5
MAX_DELAY_SECONDS = 30.0
STABLE_SECONDS = 60.0


class Child:
    """A Python module that runs until it is stopped."""

    def __init__(
        self, module: str, arguments: Sequence[str], environ: Mapping[str, str], logs: Path
    ) -> None:
        self.name = module.rpartition(".")[2]
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._environ = {**environ, PARENT_PID: str(os.getpid())}
        self._log = LogFile(logs / f"{self.name}.log")
        self._process: Process | None = None

    @property
    def pid(self) -> int | None:
        """The process's id while there is one."""
        return self._process.pid if self._process else None

    async def run(self) -> None:
        """Keep it running until cancelled; then it is stopped."""
        failures = 0
        try:
            while True:
                started = time.monotonic()
                status = await self._run_once()
                stable = time.monotonic() - started > STABLE_SECONDS
                failures = 0 if stable else failures + 1
                delay = min(2.0 ** (failures - 1), MAX_DELAY_SECONDS)
                logger.error("%s ended (%s), starts again in %g s", self.name, status, delay)
                await asyncio.sleep(delay)
        finally:
            self._log.close()

    async def _run_once(self) -> int:
        self._process = process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=self._environ,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            await pump(process.stdout, self._log)
            return await process.wait()
        finally:
            await _stop(process)
            self._process = None


async def _stop(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
