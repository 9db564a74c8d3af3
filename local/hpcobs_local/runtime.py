"""The functions' environments together: started on demand, kept warm, replaced, and let go idle."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from hpcobs_local.environments import Environment, HandlerError, InvocationError
from hpcobs_local.functions import FUNCTIONS
from hpcobs_local.logs import LogFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping
    from pathlib import Path

    from hpcobs_local.functions import Function

logger = logging.getLogger(__name__)

MAX_WAITING = 200
WAIT_SECONDS = 10.0
IDLE_SECONDS = 60.0
CHECK_SECONDS = 1.0
MAX_RESTART_DELAY_SECONDS = 30.0


class BusyError(InvocationError):
    """All environments of the function are busy, and enough requests wait already."""


class Pool:
    """One function's environments."""

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
        """Those that are there."""
        return tuple(self._all)

    async def invoke(self, event: object) -> Any:
        """The function's answer; an InvocationError if there is none."""
        async with self._slot():
            environment = await self._taken()
            try:
                answer = await environment.invoke(event)
            except HandlerError:
                self._idle.append(environment)
                raise
            except BaseException:
                # Its state is unknown, and an answer may still come: it serves nobody any more.
                await self._discard(environment, grace_seconds=0)
                raise
            self._idle.append(environment)
            return answer

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """The right to use an environment, in order of arrival."""
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

    async def _taken(self) -> Environment:
        """The environment that was used last, so that the others go idle; or a new one."""
        while self._idle:
            environment = self._idle.pop()
            if environment.alive:
                return environment
            await self._discard(environment)
        return await self._started()

    async def _started(self) -> Environment:
        environment = await Environment.start(self.function, self._environ, self._log)
        self._all.append(environment)
        return environment

    async def _discard(self, environment: Environment, *, grace_seconds: float = 1.0) -> None:
        self._all.remove(environment)
        await environment.stop(grace_seconds=grace_seconds)

    async def tend(self) -> None:
        """Bury what has died, start what must be warm, and let go what was idle for long."""
        for environment in [known for known in self._idle if not known.alive]:
            logger.warning("%s: an idle environment has died", self.function.name)
            self._idle.remove(environment)
            await self._discard(environment)
        await self._warm_up()
        await self._let_go()

    async def _warm_up(self) -> None:
        if len(self._all) >= self.function.warm or time.monotonic() < self._next_start:
            return
        try:
            async with self._slots:
                self._idle.append(await self._started())
            self._failures = 0
        except InvocationError as error:
            self._failures += 1
            delay = min(2.0**self._failures, MAX_RESTART_DELAY_SECONDS)
            self._next_start = time.monotonic() + delay
            logger.error("cannot start an environment, next try in %g s: %s", delay, error)  # noqa: TRY400 - no traceback of ours tells more

    async def _let_go(self) -> None:
        now = time.monotonic()
        for environment in list(self._idle):
            long_idle = now - environment.idle_since > IDLE_SECONDS
            if long_idle and len(self._all) > self.function.warm:
                self._idle.remove(environment)
                await self._discard(environment)

    async def warm(self) -> None:
        """Have one environment ready; InvocationError if it cannot be started."""
        async with self._slots:
            self._idle.append(await self._started())

    async def stop(self) -> None:
        """End all environments, busy or not."""
        environments, self._all, self._idle = self._all, [], []
        await asyncio.gather(*(environment.stop() for environment in environments))
        self._log.close()


class Runtime:
    """All functions by name."""

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
        """A function's answer to an event; an InvocationError if there is none."""
        return await self.pools[function].invoke(event)

    async def warm(self, *functions: str) -> None:
        """Have an environment of each of these functions ready."""
        await asyncio.gather(*(self.pools[name].warm() for name in functions))

    async def tend(self) -> None:
        """Look after the environments until cancelled, one start at a time."""
        while True:
            for pool in self.pools.values():
                await pool.tend()
            await asyncio.sleep(CHECK_SECONDS)

    async def stop(self) -> None:
        """End all environments."""
        with suppress(InvocationError):
            await asyncio.gather(*(pool.stop() for pool in self.pools.values()))
