"""Check whether the service works, by real requests to its database and its queue."""

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
    """``degraded``: jobs can be read and changed, but no samples can be received."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check. ``message`` is the problem, or None."""

    ok: bool
    duration_ms: float
    message: str | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state of the service and of each part."""

    status: HealthStatus
    timestamp: datetime
    version: str
    checks: Mapping[str, CheckResult]


class Health:
    """Checks the database and the queue, each with a short time limit."""

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
        """Return the state now. Never raise."""
        # Not in parallel: a queue that is a table of the database uses the same connection.
        database = self._check("database", self._database)
        queue = self._check("queue", self._queue)
        return HealthReport(
            status=_status(database, queue),
            timestamp=self._clock(),
            version=self._version,
            checks={"database": database, "queue": queue},
        )

    def _check(self, name: str, check: Check) -> CheckResult:
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
            # The report is public: an unknown error may hold a host name or a password.
            logger.exception("the check of the %s failed", name)
            return "failed"
        return None


def _status(database: CheckResult, queue: CheckResult) -> HealthStatus:
    if not database.ok:
        return HealthStatus.UNHEALTHY
    return HealthStatus.HEALTHY if queue.ok else HealthStatus.DEGRADED
