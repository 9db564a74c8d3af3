"""The environments of all functions: start on demand, keep warm, replace, stop when idle."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from hpcobs_local.environment import Environment, HandlerError, InvocationError
from hpcobs_local.functions import FUNCTIONS
from hpcobs_local.logs import LogFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from hpcobs_local.functions import Function

logger = logging.getLogger(__name__)

# Each waiting request holds its body in memory, of up to 10 MiB.
MAX_WAITING = 200
WAIT_SECONDS = 10.0
IDLE_SECONDS = 60.0
CHECK_SECONDS = 1.0
MAX_RESTART_DELAY_SECONDS = 30.0


class BusyError(InvocationError):
    """All environments of the function are busy, and too many requests wait or waited too long."""


class Pool:
    """The environments of one function."""

    def __init__(self, function: Function, environ: Mapping[str, str], log: LogFile) -> None:
        self.function = function
        self._environ = environ
        self._log = log
        self._all: list[Environment] = []
        self._idle: list[Environment] = []
        self._slots = asyncio.Semaphore(function.limit)
        self._waiting = 0
        self._failures = 0
        self._next_start = 0.0

    @property
    def environments(self) -> tuple[Environment, ...]:
        """The environments whose process was started and not stopped yet."""
        return tuple(self._all)

    async def invoke(self, event: object) -> Any:
        """Return the function's response. Raise InvocationError if there is none."""
        async with self._slot():
            environment = await self._take()
            try:
                response = await environment.invoke(event)
            except HandlerError:
                self._idle.append(environment)
                raise
            except BaseException:
                # Its state is unknown, and a late response could go to another request.
                await self._discard(environment, grace_seconds=0)
                raise
            self._idle.append(environment)
            return response

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Wait for the right to use an environment, in order of arrival."""
        if self._waiting >= MAX_WAITING:
            raise BusyError(f"{self.function.name}: too many requests wait")
        self._waiting += 1
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            raise BusyError(f"{self.function.name}: busy for {WAIT_SECONDS:g} s") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._slots.release()

    async def _take(self) -> Environment:
        """Return the idle environment that was used last, or a new one."""
        # The last one and not the first, so that the others stay idle and are stopped.
        while self._idle:
            environment = self._idle.pop()
            if environment.alive:
                return environment
            await self._discard(environment)
        return await self._start()

    async def _start(self) -> Environment:
        environment = await Environment.start(self.function, self._environ, self._log)
        self._all.append(environment)
        return environment

    async def _discard(self, environment: Environment, *, grace_seconds: float = 1.0) -> None:
        # The pool's own stop may have removed it already.
        with suppress(ValueError):
            self._all.remove(environment)
        await environment.stop(grace_seconds=grace_seconds)

    async def maintain(self) -> None:
        """Remove dead environments, start the warm ones, and stop those idle for long."""
        for environment in [known for known in self._idle if not known.alive]:
            logger.warning("%s: an idle environment died", self.function.name)
            self._idle.remove(environment)
            await self._discard(environment)
        await self._warm_up()
        await self._stop_idle()

    async def _warm_up(self) -> None:
        if len(self._all) >= self.function.warm or time.monotonic() < self._next_start:
            return
        try:
            # With a slot, so that a request at the same time does not exceed the limit.
            async with self._slots:
                self._idle.append(await self._start())
            self._failures = 0
        except InvocationError as error:
            self._failures += 1
            delay = min(2.0**self._failures, MAX_RESTART_DELAY_SECONDS)
            self._next_start = time.monotonic() + delay
            logger.error("cannot start an environment, next try in %g s: %s", delay, error)  # noqa: TRY400 - a traceback of ours adds nothing

    async def _stop_idle(self) -> None:
        now = time.monotonic()
        for environment in list(self._idle):
            long_idle = now - environment.idle_since > IDLE_SECONDS
            if long_idle and len(self._all) > self.function.warm:
                self._idle.remove(environment)
                await self._discard(environment)

    async def warm(self) -> None:
        """Start one environment. Raise InvocationError if it cannot be started."""
        async with self._slots:
            self._idle.append(await self._start())

    async def stop(self) -> None:
        """Stop all environments, busy or not."""
        environments, self._all, self._idle = self._all, [], []
        await asyncio.gather(*(environment.stop() for environment in environments))
        self._log.close()


class Runtime:
    """The pools of all functions, by name."""

    def __init__(
        self,
        environ: Mapping[str, str],
        logs: Path,
        functions: Iterable[Function] = FUNCTIONS,
    ) -> None:
        self.pools = {
            function.name: Pool(function, environ, LogFile(logs / f"{function.name}.log"))
            for function in functions
        }

    async def invoke(self, function: str, event: object) -> Any:
        """Return a function's response to an event. Raise InvocationError if there is none."""
        return await self.pools[function].invoke(event)

    async def warm(self, *functions: str) -> None:
        """Start an environment of each of these functions."""
        await asyncio.gather(*(self.pools[name].warm() for name in functions))

    async def maintain(self) -> None:
        """Maintain the pools until cancelled, with one start at a time."""
        while True:
            for pool in self.pools.values():
                await pool.maintain()
            await asyncio.sleep(CHECK_SECONDS)

    async def stop(self) -> None:
        """Stop all environments."""
        with suppress(InvocationError):
            await asyncio.gather(*(pool.stop() for pool in self.pools.values()))
