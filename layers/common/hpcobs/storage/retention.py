"""What grows old in PostgreSQL: whole days are dropped, single rows deleted in bounded batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.errors import LockNotAvailable

from hpcobs.storage.queries import load
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime

    from hpcobs.storage.connections import Connections
    from hpcobs.storage.timings import OperationTimings

_RETENTION = load("retention")


class PostgresExpiry:
    """See ``hpcobs.ports.retention.Expiry``."""

    def __init__(self, connections: Connections, timings: OperationTimings) -> None:
        self._session = Session(connections.connection, timings)

    def ensure_partition(self, table: str, day: date) -> bool:
        """Make a day's partition; False if it was there."""
        with self._session.operation("partition_ensure") as connection:
            row = connection.execute(_RETENTION["ensure"], {"table": table, "day": day}).fetchone()
        return bool(row and row[0])

    def partitions(self, table: str) -> Sequence[date]:
        """The days that a table has partitions for, oldest first."""
        with self._session.operation("partition_list") as connection:
            rows = connection.execute(_RETENTION["partitions"], {"table": table}).fetchall()
        return [day for (day,) in rows]

    def drop_partition(self, table: str, day: date) -> bool:
        """Drop a day with all its samples; False if the table was too busy to do so at once."""
        with self._session.operation("partition_drop") as connection:
            try:
                with connection.transaction():
                    connection.execute(_RETENTION["impatient"])
                    connection.execute(_RETENTION["drop"], {"table": table, "day": day})
            except LockNotAvailable:
                return False
        return True

    def count_older(self, what: str, before: datetime) -> int:
        """How many rows of ``what`` are from before a time."""
        with self._session.operation("expiry_count") as connection:
            row = connection.execute(_RETENTION[f"count_{what}"], {"before": before}).fetchone()
        return int(row[0]) if row else 0

    def delete_older(self, what: str, before: datetime, *, limit: int) -> int:
        """Delete rows of ``what`` from before a time, at most ``limit``; how many there were."""
        parameters = {"before": before, "limit": limit}
        with self._session.operation("expiry_delete") as connection:
            deleted = connection.execute(_RETENTION[f"delete_{what}"], parameters).rowcount
        self._session.flush_timings()
        return deleted
