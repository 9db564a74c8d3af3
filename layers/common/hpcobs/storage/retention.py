"""What grows old in PostgreSQL: partitions are dropped, single rows deleted in bounded batches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psycopg.errors import LockNotAvailable

from hpcobs.ports.retention import TABLES
from hpcobs.storage.queries import load
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from hpcobs.storage.connections import Connection, Connections
    from hpcobs.storage.timings import OperationTimings

_RETENTION = load("retention")

DROP_ATTEMPTS = 4
DROP_PAUSE_SECONDS = 0.5


class PostgresExpiry:
    """See ``hpcobs.ports.retention.Expiry``."""

    def __init__(
        self,
        connections: Connections,
        timings: OperationTimings,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._session = Session(connections.connection, timings)
        self._sleep = sleep

    def ensure_partition(self, table: str, first: date) -> bool:
        """Make a partition; False if it was there."""
        with self._session.operation("partition_ensure") as connection:
            return _asked(connection, "ensure", table, first)

    def partitions(self, table: str) -> Sequence[date]:
        """The partitions of a table, oldest first, by the day that each begins with."""
        with self._session.operation("partition_list") as connection:
            rows = connection.execute(_RETENTION["partitions"], {"table": table}).fetchall()
        return [day for (day,) in rows]

    def drop_partition(self, table: str, first: date) -> bool:
        """Drop a partition; False if its table is busy, or its samples are not rolled up."""
        for attempt in range(DROP_ATTEMPTS):
            if attempt:
                self._sleep(DROP_PAUSE_SECONDS)
            dropped = self._dropped(table, first)
            if dropped is not None:
                return dropped
        return False

    def _dropped(self, table: str, first: date) -> bool | None:
        """None if somebody uses the table: better to come again than to make others wait."""
        with self._session.operation("partition_drop") as connection:
            try:
                with connection.transaction():
                    connection.execute(_RETENTION["impatient"])
                    return _asked(connection, "drop", table, first)
            except LockNotAvailable:
                return None

    def surplus_rejected(self, most: int) -> datetime | None:
        """Before when rejected samples are more than ``most``, the latest of which are kept."""
        with self._session.operation("expiry_surplus") as connection:
            row = connection.execute(_RETENTION["surplus_rejected"], {"most": most}).fetchone()
        return row[0] if row else None

    def count_older(self, what: str, before: datetime) -> int:
        """How many rows of ``what`` are from before a time."""
        with self._session.operation("expiry_count") as connection:
            row = connection.execute(_RETENTION[f"count_{what}"], {"before": before}).fetchone()
        return int(row[0]) if row else 0

    def delete_older(self, what: str, before: datetime, *, limit: int) -> int:
        """Delete rows of ``what`` from before a time, at most ``limit``; how many there were."""
        parameters = {"before": before, "limit": limit}
        with self._session.operation("expiry_delete") as connection:
            return connection.execute(_RETENTION[f"delete_{what}"], parameters).rowcount


def _asked(connection: Connection, function: str, table: str, first: date) -> bool:
    """What the database's function for a table with such partitions says."""
    statement = _RETENTION[f"{function}_{TABLES[table].value}"]
    row = connection.execute(statement, {"table": table, "first": first}).fetchone()
    return bool(row and row[0])
