"""The functions' environments together: how many, who waits, and what becomes of the dead."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.http.routes import ROUTES
from hpcobs_local import runtime as runtimes
from hpcobs_local.environments import EnvironmentDiedError, HandlerError, TimedOutError
from hpcobs_local.functions import FUNCTIONS, Function
from hpcobs_local.runtime import BusyError, Pool, Runtime
from hpcobs_local.schedules import SCHEDULES
from tests.local.processes import alive

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@asynccontextmanager
async def running(folder: Path, **settings: Any) -> AsyncIterator[Pool]:
    """A pool of environments with a handler that does as it is told."""
    function = Function(name="tried", handler="tests.local.handlers.act", **settings)
    runtime = Runtime(os.environ, folder, [function])
    try:
        yield runtime.pools["tried"]
    finally:
        await runtime.stop()


def test_every_route_and_schedule_has_its_function() -> None:
    known = {function.name for function in FUNCTIONS}
    assert {route.function for route in ROUTES} <= known
    assert {schedule.function for schedule in SCHEDULES} <= known


def test_requests_share_environments_up_to_the_limit(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=2) as pool:
            answers = await asyncio.gather(*(pool.invoke({"sleep": 0.1}) for _ in range(6)))
            assert len({answer["pid"] for answer in answers}) == 2
            assert len(pool.environments) == 2

    asyncio.run(run())


def test_one_after_the_other_they_are_served_by_one_environment(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=3) as pool:
            pids = {(await pool.invoke({}))["pid"] for _ in range(5)}
            assert len(pids) == 1

    asyncio.run(run())


def test_a_crash_costs_its_own_request_only(tmp_path: Path) -> None:
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


def test_a_timeout_kills_the_environment_and_frees_its_place(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=1, timeout_seconds=0.3) as pool:
            stuck = (await pool.invoke({}))["pid"]
            with pytest.raises(TimedOutError):
                await pool.invoke({"sleep": 30})
            assert not alive(stuck)
            assert (await pool.invoke({}))["pid"] != stuck

    asyncio.run(run())


def test_an_error_of_the_handler_costs_no_environment(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, limit=1) as pool:
            before = await pool.invoke({})
            with pytest.raises(HandlerError):
                await pool.invoke({"raise": "no"})
            assert await pool.invoke({}) == before

    asyncio.run(run())


def test_an_environment_killed_while_idle_is_replaced(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path, warm=1) as pool:
            await pool.tend()
            (warm,) = pool.environments
            os.kill(warm.pid, signal.SIGKILL)
            await warm.died()
            await pool.tend()
            (replaced,) = pool.environments
            assert replaced.pid != warm.pid
            assert (await pool.invoke({}))["pid"] == replaced.pid

    asyncio.run(run())


def test_a_request_never_goes_to_a_dead_environment(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as pool:
            await pool.warm()
            (warm,) = pool.environments
            os.kill(warm.pid, signal.SIGKILL)
            await warm.died()
            assert (await pool.invoke({}))["pid"] != warm.pid

    asyncio.run(run())


def test_what_was_idle_for_long_is_let_go_but_for_the_warm_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "IDLE_SECONDS", 0.0)

    async def run() -> None:
        async with running(tmp_path, limit=2, warm=1) as pool:
            await asyncio.gather(*(pool.invoke({"sleep": 0.1}) for _ in range(2)))
            assert len(pool.environments) == 2
            await pool.tend()
            assert len(pool.environments) == 1

    asyncio.run(run())


def test_a_function_that_cannot_start_is_tried_again_later(tmp_path: Path) -> None:
    async def run() -> None:
        broken = Function(name="broken", handler="nowhere.handler")
        runtime = Runtime(os.environ, tmp_path, [broken])
        pool = runtime.pools["broken"]
        await pool.tend()
        await pool.tend()
        assert pool.environments == ()
        await runtime.stop()

    asyncio.run(run())
    assert (tmp_path / "broken.log").read_text().count("Traceback") == 1


def test_beyond_a_number_of_waiting_requests_the_rest_is_turned_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "MAX_WAITING", 2)

    async def run() -> None:
        async with running(tmp_path, limit=1) as pool:
            results = await asyncio.gather(
                *(pool.invoke({"sleep": 0.1}) for _ in range(5)), return_exceptions=True
            )
            turned_away = [result for result in results if isinstance(result, BusyError)]
            assert len(turned_away) == 2
            assert len(results) - len(turned_away) == 3

    asyncio.run(run())


def test_nobody_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "WAIT_SECONDS", 0.1)

    async def run() -> None:
        async with running(tmp_path, limit=1) as pool:
            busy = asyncio.create_task(pool.invoke({"sleep": 1.0}))
            await asyncio.sleep(0.05)
            with pytest.raises(BusyError):
                await pool.invoke({})
            await busy

    asyncio.run(run())
