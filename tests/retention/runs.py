"""Confirmed runs of retention at a time that the service and the database both show."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.service.retention import Retention, RetentionLimits
from hpcobs.storage.retention import PostgresExpiry
from hpcobs.storage.rollups import PostgresRollups
from hpcobs.storage.timings import OperationTimings
from tests.builders import T0

if TYPE_CHECKING:
    from datetime import datetime

    from hpcobs.service.retention import RetentionReport
    from hpcobs.storage.connections import SingleConnection


def retain(
    connections: SingleConnection, now: datetime, limits: RetentionLimits
) -> RetentionReport:
    """Run retention, in a database whose clock the test has set before."""
    with connections.connection() as connection:
        connection.execute("UPDATE public.test_clock SET shown = %s", [now])
    expiry = PostgresExpiry(connections, OperationTimings(), sleep=lambda _: None)
    rollups = PostgresRollups(connections, OperationTimings())
    return Retention(expiry, rollups, limits, clock=lambda: now).run(lambda: 60.0, confirm=True)


def retain_a_day(connections: SingleConnection, *, hours: float) -> RetentionReport:
    """Run retention so many hours after T0. Samples are kept for a day."""
    limits = RetentionLimits(samples_days=1, rollup_days=400, audit_days=400)
    return retain(connections, T0 + timedelta(hours=hours), limits)
