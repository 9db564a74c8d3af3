"""An environment as the service sees it: start its process, invoke its handler, stop it.

The other side is ``handler_process``.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
import uuid
from typing import TYPE_CHECKING, Any

from hpcobs_local import framing
from hpcobs_local.logs import pump
from hpcobs_local.watchdog import kill_group, wait_or_kill

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Mapping

    from hpcobs_local.functions import Function
    from hpcobs_local.logs import LogFile

# Far longer than an import takes: at a start, several processes import side by side.
INIT_SECONDS = 30.0
STOP_SECONDS = 1.0
LAST_OUTPUT_SECONDS = 0.5
"""Time for output from before the process ended to reach the log."""


class InvocationError(Exception):
    """An invocation returned no response."""


class HandlerError(InvocationError):
    """The handler raised an error. Its environment can be used again."""


class EnvironmentDiedError(InvocationError):
    """The process ended during the invocation."""


class TimedOutError(InvocationError):
    """The invocation took longer than the function's timeout."""


class InitError(InvocationError):
    """The process could not import its handler, or not soon enough."""


class Environment:
    """A running process with a function's handler. It runs one request at a time."""

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
        """Start a process and wait until its handler is imported. Raise InitError if it fails."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                # -P: a file in the current folder must not be imported in place of a module.
                *(sys.executable, "-P", "-m", "hpcobs_local.handler_process"),
                *(function.handler, str(theirs.fileno())),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={**environ, **_variables(function)},
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the service alone, which then stops its processes in order.
                start_new_session=True,
            )
        environment = cls(function, process, ours, log)
        try:
            await environment._wait_until_ready()
        except BaseException:  # a cancelled start must not leave its process
            await environment.stop()
            raise
        return environment

    async def _wait_until_ready(self) -> None:
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)
        name = self.function.name
        try:
            async with asyncio.timeout(INIT_SECONDS):
                message = await framing.receive(self._reader)
        except TimeoutError:
            raise InitError(f"{name}: not ready within {INIT_SECONDS:g} s") from None
        except (EOFError, OSError):
            raise InitError(f"{name}: ended before it was ready") from None
        if "init_error" in message:
            raise InitError(f"{name}: {message['init_error']}")

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.returncode is None

    async def wait(self) -> None:
        """Wait until the process has ended."""
        await self._process.wait()

    async def invoke(self, event: object) -> Any:
        """Return the handler's response. Raise InvocationError if there is none."""
        # Lambda gives a handler its deadline in wall-clock milliseconds.
        seconds = self.function.timeout_seconds
        deadline_ms = (time.time() + seconds) * 1000
        request = {"event": event, "request_id": str(uuid.uuid4()), "deadline_ms": deadline_ms}
        try:
            async with asyncio.timeout(seconds):
                response = await self._exchange(framing.packed(request))
        except TimeoutError:
            self._log.write(f"killing environment {self.pid}: no response within {seconds:g} s")
            raise TimedOutError(f"{self.function.name}: no response within {seconds:g} s") from None
        except (EOFError, OSError):
            raise EnvironmentDiedError(f"{self.function.name}: the environment died") from None
        self.idle_since = time.monotonic()
        if "error" in response:
            raise HandlerError(f"{self.function.name}: {response['error']}")
        return response["result"]

    async def _exchange(self, request: bytes) -> Any:
        self._writer.write(request)
        await self._writer.drain()
        return await framing.receive(self._reader)

    async def stop(self, *, grace_seconds: float = STOP_SECONDS) -> None:
        """Close the channel, upon which the process exits. Kill it after ``grace_seconds``."""
        self._close_channel()
        try:
            await wait_or_kill(self._process, grace_seconds)
        finally:
            # The wait above may be cancelled, and the process must not outlive that.
            kill_group(self._process)
            await asyncio.wait([self._pump], timeout=LAST_OUTPUT_SECONDS)
            self._pump.cancel()

    def _close_channel(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.transport.abort()
        else:
            self._channel.close()


def _output(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise ValueError("the process was started without a pipe for its output")
    return process.stdout


def _variables(function: Function) -> dict[str, str]:
    """Return the variables that Lambda adds to a function's environment."""
    return {
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "_HANDLER": function.handler,
    }
