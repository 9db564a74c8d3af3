"""Whether the service can do its work: its database and its queue, asked for real."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hpcobs.domain.errors import DomainError
from hpcobs.ports.clock import utc_now
from hpcobs.service.limits import LIMIT_SECONDS, within

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from hpcobs.ports.clock import Clock

    Check = Callable[[], object]

logger = logging.getLogger(__name__)


class HealthStatus(StrEnum):
    """``degraded``: jobs are seen and changed, but samples are not taken in."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """How one part answered; ``message`` says what is wrong with it."""

    ok: bool
    duration_ms: float
    message: str | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The service's state, and that of each part."""

    status: HealthStatus
    timestamp: datetime
    version: str
    checks: Mapping[str, CheckResult]


class Health:
    """Asks the database and the queue, giving each a short time to answer."""

    def __init__(
        self,
        *,
        database: Check,
        queue: Check,
        version: str,
        limit_seconds: float = LIMIT_SECONDS,
        clock: Clock = utc_now,
    ) -> None:
        self._database = database
        self._queue = queue
        self._version = version
        self._limit_seconds = limit_seconds
        self._clock = clock

    def report(self) -> HealthReport:
        """The state now; never raises."""
        # One after the other: the database's own queue shares its connection.
        database = self._asked("database", self._database)
        queue = self._asked("queue", self._queue)
        return HealthReport(
            status=_status(database, queue),
            timestamp=self._clock(),
            version=self._version,
            checks={"database": database, "queue": queue},
        )

    def _asked(self, name: str, check: Check) -> CheckResult:
        started = time.perf_counter()
        problem = self._problem(name, check)
        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        return CheckResult(problem is None, duration_ms, problem)

    def _problem(self, name: str, check: Check) -> str | None:
        try:
            within(self._limit_seconds, check)
        except DomainError as error:
            return error.message
        except Exception:
            logger.exception("the check of the %s failed", name)
            return "failed"
        return None


def _status(database: CheckResult, queue: CheckResult) -> HealthStatus:
    if not database.ok:
        return HealthStatus.UNHEALTHY
    return HealthStatus.HEALTHY if queue.ok else HealthStatus.DEGRADED
