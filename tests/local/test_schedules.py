"""Schedules: on time, never on top of themselves, and not discouraged by a failure."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from hpcobs_local.environments import TimedOutError
from hpcobs_local.schedules import Schedule, follow, scheduled_event


@dataclass
class Functions:
    """Takes a while for each run, and fails if told to."""

    takes_seconds: float = 0.0
    fails: bool = False
    begun: list[float] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def invoke(self, function: str, event: object) -> Any:
        self.begun.append(time.monotonic())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.takes_seconds)
        self.at_once -= 1
        if self.fails:
            raise TimedOutError("collector: slow")


def follow_for(seconds: float, schedule: Schedule, functions: Functions) -> None:
    async def run() -> None:
        try:
            async with asyncio.timeout(seconds):
                await follow(schedule, functions)
        except TimeoutError:
            return

    asyncio.run(run())


def test_it_runs_at_once_and_then_at_its_pace() -> None:
    functions = Functions()
    follow_for(1.3, Schedule("collector", every_seconds=0.6), functions)
    assert len(functions.begun) == 3
    assert 0.5 < functions.begun[1] - functions.begun[0] < 0.9


def test_a_run_that_takes_longer_than_its_pace_is_never_overtaken() -> None:
    functions = Functions(takes_seconds=0.4)
    follow_for(1.6, Schedule("collector", every_seconds=0.1), functions)
    assert functions.most_at_once == 1
    assert len(functions.begun) == 2


def test_a_failed_run_does_not_end_the_schedule() -> None:
    functions = Functions(fails=True)
    follow_for(1.3, Schedule("collector", every_seconds=0.1), functions)
    assert len(functions.begun) >= 2


def test_a_delay_comes_before_the_first_run() -> None:
    functions = Functions()
    follow_for(0.2, Schedule("retention", every_seconds=1, delay_seconds=10), functions)
    assert functions.begun == []


def test_the_event_is_that_of_a_rule() -> None:
    event = scheduled_event(Schedule("collector", every_seconds=60))
    assert event["detail-type"] == "Scheduled Event"
    assert event["source"] == "aws.events"
    assert event["detail"] == {}
