"""Roll-ups in PostgreSQL: an hour of samples is summed up by one statement, as often as need be.

Whoever stores samples notes their hours in the same transaction. Here an hour's notes are deleted
first and its samples read afterwards, by a later statement that sees more: a sample is either seen,
or its note is still there the next time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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
        """The hours before a time that were not rolled up since samples of them were stored."""
        with self._session.operation("rollup_due") as connection:
            rows = connection.execute(_ROLLUPS["due"], {"before": before}).fetchall()
        return [hour for (hour,) in rows]

    def count_due(self, before: datetime) -> int:
        """How many hours ``due`` would tell; changes nothing."""
        with self._session.operation("rollup_count_due") as connection:
            row = connection.execute(_ROLLUPS["count_due"], {"before": before}).fetchone()
        return int(row[0]) if row else 0

    def roll(self, hour: datetime) -> bool:
        """Roll an hour up in one transaction; False if another roll-up is under way."""
        with self._session.operation("rollup") as connection, connection.transaction():
            begun = connection.execute(_ROLLUPS["begin"]).fetchone()
            if not (begun and begun[0]):
                return False
            _roll(connection, hour)
        return True


def _roll(connection: Connection, hour: datetime) -> None:
    taken = connection.execute(_ROLLUPS["take"], {"hour": hour}).fetchone()
    sampled, removed = taken or (False, [])
    if removed:
        connection.execute(_ROLLUPS["forget"], {"hour": hour, "job_ids": removed}, prepare=False)
    if sampled:
        connection.execute(_ROLLUPS["ensure_months"], {"hour": hour})
        # Never prepared: a plan for a given hour leaves out the other days' partitions.
        connection.execute(_ROLLUPS["roll_metrics"], {"hour": hour}, prepare=False)
        connection.execute(_ROLLUPS["roll_gpus"], {"hour": hour}, prepare=False)
