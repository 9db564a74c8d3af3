"""Environments from the service's side: started, asked, cut off when too slow, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hpcobs_local import framing
from hpcobs_local.logs import pump

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping

    from hpcobs_local.functions import Function
    from hpcobs_local.logs import LogFile

INIT_SECONDS = 30.0
STOP_SECONDS = 1.0
LAST_WORDS_SECONDS = 0.5
"""For what the process said before its end, which may still be on its way to the log."""


class InvocationError(Exception):
    """An invocation gave no answer."""


class HandlerError(InvocationError):
    """The handler raised an error; its environment lives on."""


class EnvironmentDiedError(InvocationError):
    """The process went away in the middle of the invocation."""


class TimedOutError(InvocationError):
    """The invocation took longer than the function may; its environment was killed."""


class InitError(InvocationError):
    """The process could not import its handler."""


class Environment:
    """A running process with a function's handler in it, for one request at a time."""

    def __init__(
        self, function: Function, process: Process, channel: socket.socket, log: LogFile
    ) -> None:
        self.function = function
        self.idle_since = time.monotonic()
        self._process = process
        self._channel = channel
        self._log = log
        self._pump = asyncio.create_task(pump(_output(process), log))

    @classmethod
    async def start(
        cls, function: Function, environ: Mapping[str, str], log: LogFile
    ) -> Environment:
        """Start a process and wait until its handler is imported; InitError if it cannot be."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "hpcobs_local.environment"),
                *(function.handler, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**environ, **_variables(function)},
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the service alone, which then stops its children.
                start_new_session=True,
            )
        environment = cls(function, process, ours, log)
        try:
            await environment._ready()
        except BaseException:
            await environment.stop()
            raise
        return environment

    async def _ready(self) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)
        name = self.function.name
        try:
            async with asyncio.timeout(INIT_SECONDS):
                message = await framing.receive(self._reader)
        except TimeoutError:
            raise InitError(f"{name}: not ready within {INIT_SECONDS:g} s") from None
        except (EOFError, OSError):
            raise InitError(f"{name}: went away before it was ready") from None
        if "init_error" in message:
            raise InitError(f"{name}: {message['init_error']}")

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.returncode is None

    async def died(self) -> None:
        """Wait until the process has gone."""
        await self._process.wait()

    async def invoke(self, event: object) -> Any:
        """The handler's answer; an InvocationError if there is none."""
        seconds = self.function.timeout_seconds
        deadline_ms = (time.time() + seconds) * 1000
        request = {"event": event, "request_id": str(uuid.uuid4()), "deadline_ms": deadline_ms}
        try:
            async with asyncio.timeout(seconds):
                answer = await self._asked(framing.packed(request))
        except TimeoutError:
            self._log.write(f"environment {self.pid} is killed: no answer within {seconds:g} s")
            raise TimedOutError(f"{self.function.name}: no answer within {seconds:g} s") from None
        except (EOFError, OSError):
            raise EnvironmentDiedError(f"{self.function.name}: the environment died") from None
        self.idle_since = time.monotonic()
        if "error" in answer:
            raise HandlerError(f"{self.function.name}: {answer['error']}")
        return answer["result"]

    async def _asked(self, request: bytes) -> Any:
        self._writer.write(request)
        await self._writer.drain()
        return await framing.receive(self._reader)

    async def stop(self, *, grace_seconds: float = STOP_SECONDS) -> None:
        """End the process: it goes by itself when the channel closes, or is killed."""
        self._channel_closed()
        try:
            async with asyncio.timeout(grace_seconds):
                await self._process.wait()
        except TimeoutError:
            self._kill()
            await self._process.wait()
        finally:
            self._kill()
            await asyncio.wait([self._pump], timeout=LAST_WORDS_SECONDS)
            self._pump.cancel()

    def _channel_closed(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.transport.abort()
        else:
            self._channel.close()

    def _kill(self) -> None:
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


def _output(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise ValueError("the process was started without a pipe for its output")
    return process.stdout


def _variables(function: Function) -> dict[str, str]:
    """What Lambda itself puts into a function's environment."""
    return {
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "_HANDLER": function.handler,
    }
