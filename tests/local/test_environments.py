"""Environments: one process each, one request at a time, isolated from each other."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING

import pytest

from hpcobs_local.environment import (
    Environment,
    EnvironmentDiedError,
    HandlerError,
    InitError,
    TimedOutError,
)
from hpcobs_local.functions import Function
from hpcobs_local.logs import LogFile
from tests.local.processes import alive
from tests.waiting import WAIT_SECONDS, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


def function(handler: str, timeout_seconds: float = WAIT_SECONDS) -> Function:
    name = f"tests.local.handlers.{handler}"
    return Function(name="tried", handler=name, timeout_seconds=timeout_seconds)


@asynccontextmanager
async def started(function: Function, folder: Path) -> AsyncIterator[Environment]:
    with closing(LogFile(folder / "function.log")) as log:
        environment = await Environment.start(function, os.environ, log)
        try:
            yield environment
        finally:
            await environment.stop()


def test_invocation_returns_response_of_handler(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("echo"), tmp_path) as environment:
            answer = await environment.invoke({"a": ["ü", None, 1.5]})
        assert answer["event"] == {"a": ["ü", None, 1.5]}

    asyncio.run(run())


def test_context_has_fields_of_lambda(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("echo", timeout_seconds=100), tmp_path) as environment:
            first, second = await environment.invoke({}), await environment.invoke({})
        assert first["name"] == first["variable"] == "tried"
        assert first["memory"] == "512"
        assert 0 < first["remaining_ms"] <= 100_000
        assert first["request_id"] != second["request_id"]
        assert first["pid"] == second["pid"] == environment.pid

    asyncio.run(run())


def test_large_event_reaches_handler(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("echo"), tmp_path) as environment:
            answer = await environment.invoke({"body": "x" * 14_000_000})
        assert len(answer["event"]["body"]) == 14_000_000

    asyncio.run(run())


def test_output_of_handler_goes_to_log(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("act"), tmp_path) as environment:
            answer = await environment.invoke({"print": "a printed line"})
            assert answer == {"pid": environment.pid}
            await logged(tmp_path, "raw")

    asyncio.run(run())
    assert "a printed line" in (tmp_path / "function.log").read_text()


async def logged(folder: Path, text: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    path = folder / "function.log"
    while not path.exists() or text not in path.read_text():
        assert time.monotonic() < deadline, f"not logged: {text}"
        await asyncio.sleep(0.01)


def test_handler_error_leaves_environment_alive(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("act"), tmp_path) as environment:
            with pytest.raises(HandlerError, match="ValueError: not this time"):
                await environment.invoke({"raise": "not this time"})
            assert await environment.invoke({}) == {"pid": environment.pid}
            await logged(tmp_path, "Traceback")

    asyncio.run(run())


def test_response_without_json_is_handler_error(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("act"), tmp_path) as environment:
            with pytest.raises(HandlerError, match="not JSON"):
                await environment.invoke({"answer": "not JSON"})
            assert await environment.invoke({}) == {"pid": environment.pid}

    asyncio.run(run())


def test_dead_process_raises_environment_died(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("act"), tmp_path) as environment:
            with pytest.raises(EnvironmentDiedError):
                await environment.invoke({"exit": 7})
            await environment.wait()
            assert not environment.alive

    asyncio.run(run())


def test_slow_invocation_times_out(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("act", timeout_seconds=0.2), tmp_path) as environment:
            with pytest.raises(TimedOutError):
                await environment.invoke({"sleep": 30})

    asyncio.run(run())


def test_stop_does_not_wait_for_busy_handler(tmp_path: Path) -> None:
    async def run() -> None:
        async with started(function("act", timeout_seconds=600), tmp_path) as environment:
            # Far longer than a test may take: a stop that waited for it would fail by timeout.
            busy = asyncio.create_task(environment.invoke({"sleep": 600}))
            await asyncio.sleep(0.2)
            await environment.stop()
            with pytest.raises(EnvironmentDiedError):
                await busy
            assert not environment.alive

    asyncio.run(run())


def test_failed_import_is_init_error_with_reason(tmp_path: Path) -> None:
    async def run() -> None:
        with pytest.raises(InitError, match="ModuleNotFoundError: No module named 'nowhere'"):
            async with started(Function(name="f", handler="nowhere.handler"), tmp_path):
                pass

    asyncio.run(run())


PARENT = """
import asyncio, os, sys
from pathlib import Path
from hpcobs_local.environment import Environment
from hpcobs_local.functions import Function
from hpcobs_local.logs import LogFile

async def main():
    function = Function(name="tried", handler="tests.local.handlers.act")
    environment = await Environment.start(function, os.environ, LogFile(Path(sys.argv[1])))
    asyncio.create_task(environment.invoke({"sleep": 60}))
    await asyncio.sleep(0.3)
    print(environment.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_environment_does_not_outlive_killed_service(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        assert_ends(pid)


STARTING_PARENT = """
import asyncio, os, sys
from pathlib import Path
from hpcobs_local.environment import Environment
from hpcobs_local.functions import Function
from hpcobs_local.logs import LogFile

function = Function(name="tried", handler="hanging.handler")
asyncio.run(Environment.start(function, os.environ, LogFile(Path(sys.argv[1]))))
"""
HANGING_MODULE = """
import os, pathlib, time
part = pathlib.Path(__file__).with_name("part")
part.write_text(str(os.getpid()))
part.rename(part.with_name("pid"))
time.sleep(3600)
"""


def test_importing_environment_does_not_outlive_service(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(HANGING_MODULE)
    pid_file = tmp_path / "pid"
    paths = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    command = [sys.executable, "-c", STARTING_PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths}) as parent:
        eventually(pid_file.exists)
        parent.send_signal(signal.SIGKILL)
        assert_ends(int(pid_file.read_text()))


def assert_ends(pid: int) -> None:
    """Wait until the process is gone. Kill it and fail if it stays."""
    try:
        eventually(lambda: not alive(pid))
    except AssertionError:
        os.kill(pid, signal.SIGKILL)
        raise
