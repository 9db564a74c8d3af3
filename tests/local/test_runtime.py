"""Pools of environments: their number, waiting requests, and replacement of dead ones."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.http.routes import ROUTES
from hpcobs_local import runtime as runtimes
from hpcobs_local.environment import EnvironmentDiedError, HandlerError, TimedOutError
from hpcobs_local.functions import FUNCTIONS, Function
from hpcobs_local.runtime import BusyError, Pool, Runtime
from hpcobs_local.schedules import SCHEDULES
from tests.local.processes import alive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Pool]:
    """Run a pool of environments whose handler acts as the event demands."""
    function = Function(name="tried", handler="tests.local.handlers.act", **settings)
    runtime = Runtime(os.environ, folder, [function])
    try:
        yield runtime.pools["tried"]
    finally:
        await runtime.stop()


def test_every_route_and_schedule_has_function() -> None:
    known = {function.name for function in FUNCTIONS}
    assert {route.function for route in ROUTES} <= known
    assert {schedule.function for schedule in SCHEDULES} <= known


def test_requests_share_environments_up_to_limit(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=2) as pool:
            answers = await asyncio.gather(*(pool.invoke({"sleep": 0.1}) for _ in range(6)))
            assert len({answer["pid"] for answer in answers}) == 2
            assert len(pool.environments) == 2

    asyncio.run(run())


def test_sequential_requests_use_one_environment(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=3) as pool:
            pids = {(await pool.invoke({}))["pid"] for _ in range(5)}
            assert len(pids) == 1

    asyncio.run(run())


def test_crash_fails_only_its_request(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=1) as pool:
            before = await pool.invoke({})
            results = await asyncio.gather(
                pool.invoke({"exit": 1}),
                *(pool.invoke({}) for _ in range(3)),
                return_exceptions=True,
            )
            assert isinstance(results[0], EnvironmentDiedError)
            pids = {result["pid"] for result in results[1:] if isinstance(result, dict)}
            assert len(pids) == 1
            assert before["pid"] not in pids
            assert len(pool.environments) == 1

    asyncio.run(run())


def test_timeout_kills_environment_and_frees_slot(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=1, timeout_seconds=0.3) as pool:
            await pool.warm()
            (stuck,) = pool.environments
            with pytest.raises(TimedOutError):
                await pool.invoke({"sleep": 30})
            assert not alive(stuck.pid)
            # It takes the slot. An invocation could time out itself on a busy machine.
            await pool.warm()
            (replaced,) = pool.environments
            assert replaced.pid != stuck.pid

    asyncio.run(run())


def test_handler_error_keeps_environment(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=1) as pool:
            before = await pool.invoke({})
            with pytest.raises(HandlerError):
                await pool.invoke({"raise": "no"})
            assert await pool.invoke({}) == before

    asyncio.run(run())


def test_environment_killed_while_idle_is_replaced(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, warm=1) as pool:
            await pool.maintain()
            (warm,) = pool.environments
            os.kill(warm.pid, signal.SIGKILL)
            await warm.wait()
            await pool.maintain()
            (replaced,) = pool.environments
            assert replaced.pid != warm.pid
            assert (await pool.invoke({}))["pid"] == replaced.pid

    asyncio.run(run())


def test_request_skips_dead_environment(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as pool:
            await pool.warm()
            (warm,) = pool.environments
            os.kill(warm.pid, signal.SIGKILL)
            await warm.wait()
            assert (await pool.invoke({}))["pid"] != warm.pid

    asyncio.run(run())


def test_idle_environments_are_stopped_except_warm_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "IDLE_SECONDS", 0.0)

    async def run() -> None:
        async with running(tmp_path, limit=2, warm=1) as pool:
            await asyncio.gather(*(pool.invoke({"sleep": 0.1}) for _ in range(2)))
            assert len(pool.environments) == 2
            await pool.maintain()
            assert len(pool.environments) == 1

    asyncio.run(run())


def test_broken_function_is_retried_later(tmp_path: Path) -> None:
    async def run() -> None:
        broken = Function(name="broken", handler="nowhere.handler")
        runtime = Runtime(os.environ, tmp_path, [broken])
        pool = runtime.pools["broken"]
        await pool.maintain()
        await pool.maintain()
        assert pool.environments == ()
        await runtime.stop()

    asyncio.run(run())
    assert (tmp_path / "broken.log").read_text().count("Traceback") == 1


def test_requests_beyond_waiting_limit_are_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "MAX_WAITING", 2)

    async def run() -> None:
        async with running(tmp_path, limit=1) as pool:
            results = await asyncio.gather(
                *(pool.invoke({"sleep": 0.1}) for _ in range(5)), return_exceptions=True
            )
            rejected = [result for result in results if isinstance(result, BusyError)]
            assert len(rejected) == 2
            assert len(results) - len(rejected) == 3

    asyncio.run(run())


def test_waiting_request_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "WAIT_SECONDS", 0.1)

    async def run() -> None:
        async with running(tmp_path, limit=1) as pool:
            busy = asyncio.create_task(pool.invoke({"sleep": 30}))
            await asyncio.sleep(0.05)
            with pytest.raises(BusyError):
                await pool.invoke({})
            busy.cancel()
            await asyncio.wait([busy])

    asyncio.run(run())
