"""Functions that run on a schedule, as EventBridge runs them on AWS."""

from __future__ import annotations

import asyncio
import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hpcobs_local.environment import InvocationError

if TYPE_CHECKING:
    from hpcobs_local.functions import Functions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function and how often it runs. ``delay_seconds`` pass before its first run."""

    function: str
    every_seconds: float
    delay_seconds: float = 0.0


SCHEDULES = (
    Schedule("collector", every_seconds=60),
    # After the start, which it would slow down.
    Schedule("retention", every_seconds=3600, delay_seconds=5),
)


async def follow(schedule: Schedule, functions: Functions) -> None:
    """Invoke the function until cancelled. A long invocation delays the next: none overlap."""
    now = asyncio.get_running_loop().time
    await asyncio.sleep(schedule.delay_seconds)
    due = now()
    while True:
        try:
            await functions.invoke(schedule.function, scheduled_event(schedule))
        except InvocationError as error:
            logger.warning("scheduled run failed: %s", error)
        # Runs that were missed, during a long run or while the machine slept, are skipped.
        due = max(due + schedule.every_seconds, now())
        await asyncio.sleep(max(due - now(), MIN_PAUSE_SECONDS))


MIN_PAUSE_SECONDS = 0.5
"""Shortest time between two runs, for a function that fails at once."""


def scheduled_event(schedule: Schedule) -> dict[str, Any]:
    """Return the event that an EventBridge rule sends."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "local",
        "resources": [f"arn:aws:events:local:000000000000:rule/{schedule.function}"],
        "detail": {},
    }
