"""What EventBridge does on AWS: functions that are invoked by the clock."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hpcobs_local.environments import InvocationError

if TYPE_CHECKING:
    from hpcobs_local.functions import Functions

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A function and how often it runs; ``delay_seconds`` is how long it waits at the start."""

    function: str
    every_seconds: float
    delay_seconds: float = 0.0


SCHEDULES = (
    Schedule("collector", every_seconds=60),
    Schedule("retention", every_seconds=3600, delay_seconds=5),
)


async def follow(schedule: Schedule, functions: Functions) -> None:
    """Invoke until cancelled. An invocation that takes longer delays the next: none overlap."""
    await asyncio.sleep(schedule.delay_seconds)
    due = time.monotonic()
    while True:
        try:
            await functions.invoke(schedule.function, scheduled_event(schedule))
        except InvocationError as error:
            logger.warning("scheduled run failed: %s", error)
        due = max(due + schedule.every_seconds, time.monotonic())
        await asyncio.sleep(max(due - time.monotonic(), MIN_PAUSE_SECONDS))


MIN_PAUSE_SECONDS = 0.5
"""A collector that fails at once is not asked again without a breath."""


def scheduled_event(schedule: Schedule) -> dict[str, Any]:
    """The event of an EventBridge rule."""
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
