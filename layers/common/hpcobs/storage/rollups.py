"""Roll-ups in PostgreSQL: one statement sums up an hour of samples, again if some come late.

The transaction that stores samples also notes their hours (ADR 0009). Here an hour's notes are
deleted first. A later statement, which sees at least as much, reads the samples. So a sample is
either read, or its note is still there the next time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.domain.rollups import CLOSED_AFTER
from hpcobs.storage.queries import load
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.storage.connections import Connection, Connections
    from hpcobs.storage.timings import OperationTimings

_ROLLUPS = load("rollups")


class PostgresRollups:
    """See ``hpcobs.ports.rollups.Rollups``."""

    def __init__(self, connections: Connections, timings: OperationTimings) -> None:
        self._session = Session(connections.connection, timings)

    def due(self, before: datetime) -> Sequence[datetime]:
        """Return the hours before a time that have samples newer than their roll-ups."""
        with self._session.operation("rollup_due") as connection:
            rows = connection.execute(_ROLLUPS["due"], _closed(before)).fetchall()
        return [hour for (hour,) in rows]

    def count_due(self, before: datetime) -> int:
        """Return how many hours ``due`` would return. Change nothing."""
        with self._session.operation("rollup_count_due") as connection:
            row = connection.execute(_ROLLUPS["count_due"], _closed(before)).fetchone()
        return int(row[0]) if row else 0

    def roll(self, hour: datetime) -> bool:
        """Roll up an hour in one transaction. Return False if another roll-up is under way."""
        with self._session.operation("rollup") as connection, connection.transaction():
            locked = connection.execute(_ROLLUPS["begin"]).fetchone()
            if not (locked and locked[0]):
                return False
            _roll(connection, hour)
        return True


def _closed(before: datetime) -> dict[str, object]:
    return {"before": before, "closed_after": CLOSED_AFTER}


def _roll(connection: Connection, hour: datetime) -> None:
    notes = connection.execute(_ROLLUPS["take"], {"hour": hour}).fetchone()
    sampled, removed = notes or (False, [])
    if removed:
        statement = _ROLLUPS["delete_removed"]
        connection.execute(statement, {"hour": hour, "job_ids": removed}, prepare=False)
    if sampled:
        connection.execute(_ROLLUPS["ensure_months"], {"hour": hour})
        # Never prepared: a plan for a given hour leaves out the other days' partitions.
        connection.execute(_ROLLUPS["roll_metrics"], {"hour": hour}, prepare=False)
        connection.execute(_ROLLUPS["roll_gpus"], {"hour": hour}, prepare=False)
