"""Schedules: at their pace, without overlaps, and not stopped by a failure."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hpcobs_local.environment import TimedOutError
from hpcobs_local.schedules import MIN_PAUSE_SECONDS, Schedule, follow, scheduled_event


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer, so that no test waits or is late."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


@dataclass
class Functions:
    """Records the start of each run, which takes a while, and fails on request."""

    takes_seconds: float = 0.0
    fails: bool = False
    starts: list[float] = field(default_factory=list)

    async def invoke(self, function: str, event: object) -> Any:
        self.starts.append(round(asyncio.get_running_loop().time(), 3))
        await asyncio.sleep(self.takes_seconds)
        if self.fails:
            raise TimedOutError("collector: slow")


def follow_for(seconds: float, schedule: Schedule, functions: Functions) -> None:
    async def run() -> None:
        try:
            async with asyncio.timeout(seconds):
                await follow(schedule, functions)
        except TimeoutError:
            return

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())


def test_runs_start_at_once_and_keep_pace() -> None:
    functions = Functions(takes_seconds=1)
    follow_for(150, Schedule("collector", every_seconds=60), functions)
    assert functions.starts == [0, 60, 120]


def test_long_run_delays_next_without_overlap() -> None:
    functions = Functions(takes_seconds=70)
    follow_for(150, Schedule("collector", every_seconds=60), functions)
    assert functions.starts == [0, 70 + MIN_PAUSE_SECONDS, 2 * (70 + MIN_PAUSE_SECONDS)]


def test_failed_run_does_not_end_schedule() -> None:
    functions = Functions(fails=True)
    follow_for(2, Schedule("collector", every_seconds=0.1), functions)
    assert functions.starts == [0, 0.5, 1, 1.5]


def test_delay_comes_before_first_run() -> None:
    functions = Functions()
    follow_for(8, Schedule("retention", every_seconds=3600, delay_seconds=5), functions)
    assert functions.starts == [5]


def test_event_is_that_of_eventbridge_rule() -> None:
    event = scheduled_event(Schedule("collector", every_seconds=60))
    assert event["detail-type"] == "Scheduled Event"
    assert event["source"] == "aws.events"
    assert event["detail"] == {}
