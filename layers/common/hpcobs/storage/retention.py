"""Expiry in PostgreSQL: drop partitions, delete single rows in bounded batches, keep evidence."""

from __future__ import annotations

import time
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING

from psycopg.errors import LockNotAvailable

from hpcobs.domain.evidence import Evidence, Witness
from hpcobs.ports.retention import ROWS, TABLES, Reason, Span
from hpcobs.storage.queries import load
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, datetime

    from hpcobs.ports.retention import Held
    from hpcobs.storage.connections import Connection, Connections
    from hpcobs.storage.timings import OperationTimings

_RETENTION = load("retention")

# About 2.5 s in all, with the waits for the lock. The next run, an hour later, tries again.
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
        """Create a partition. Return False if it existed."""
        with self._session.operation("partition_ensure") as connection:
            return _call(connection, "ensure", table, first)

    def partitions(self, table: str) -> Sequence[date]:
        """Return the first days of a table's partitions, oldest first."""
        with self._session.operation("partition_list") as connection:
            rows = connection.execute(_RETENTION["partitions"], {"table": table}).fetchall()
        return [day for (day,) in rows]

    def drop_partition(self, table: str, first: date) -> bool:
        """Drop a partition. Return False if it is busy, not rolled up, or not past."""
        with self._session.operation("partition_drop") as connection, connection.transaction():
            # The check reads a whole day: once, and before the lock that stops all writers. What is
            # stored in between leaves its note, because no hour is rolled up until the end.
            if TABLES[table] is Span.DAYS and not _call(connection, "check", table, first):
                return False
            for attempt in range(DROP_ATTEMPTS):
                if attempt:
                    self._sleep(DROP_PAUSE_SECONDS)
                dropped = _dropped(connection, table, first)
                if dropped is not None:
                    return dropped
        return False

    def rolled_up(self, table: str, first: date, *, due: bool) -> bool:
        """Return whether all samples of a day are rolled up, or ``due`` if hours of it are due."""
        with self._session.operation("partition_check") as connection:
            parameters = {"table": table, "first": first, "due": due}
            row = connection.execute(_RETENTION["rolled_up"], parameters).fetchone()
        return bool(row and row[0])

    def evidence(self) -> Evidence:
        """Return the database's time, and the evidence that this time has come."""
        with self._session.operation("retention_evidence") as connection:
            # The migrations store the one row, which is never deleted.
            (row,) = connection.execute(_RETENTION["evidence"]).fetchall()
        return Evidence(row[0], row[1], Witness(*row[2:]))

    def record(self, witness: Witness, held: Sequence[Held]) -> None:
        """Store the evidence for the next run, and the held data."""
        with self._session.operation("retention_record") as connection, connection.transaction():
            connection.execute(_RETENTION["save_witness"], asdict(witness))
            _hold(connection, held)

    def hold(self, held: Sequence[Held]) -> None:
        """Store the held data. Keep the evidence of the run before."""
        with self._session.operation("retention_record") as connection, connection.transaction():
            _hold(connection, held)

    def oldest(self, what: str, since: datetime | None = None) -> datetime | None:
        """Return the time of the oldest row of ``what`` since a time, or None without one."""
        with self._session.operation("expiry_oldest") as connection:
            row = connection.execute(_RETENTION[f"oldest_{what}"], {"since": since}).fetchone()
        return row[0] if row else None

    def surplus_rejected(self, most: int) -> datetime | None:
        """Return when the oldest of the latest ``most`` rejected samples was rejected, or None."""
        with self._session.operation("expiry_surplus") as connection:
            row = connection.execute(_RETENTION["surplus_rejected"], {"most": most}).fetchone()
        return row[0] if row else None

    def count_older(self, what: str, before: datetime) -> int:
        """Return how many rows of ``what`` are from before a time."""
        with self._session.operation("expiry_count") as connection:
            row = connection.execute(_RETENTION[f"count_{what}"], {"before": before}).fetchone()
        return int(row[0]) if row else 0

    def delete_older(self, what: str, before: datetime, *, limit: int) -> int:
        """Delete at most ``limit`` rows of ``what`` from before a time. Return how many."""
        parameters = {"before": before, "limit": limit}
        with self._session.operation("expiry_delete") as connection:
            return connection.execute(_RETENTION[f"delete_{what}"], parameters).rowcount


def _call(connection: Connection, function: str, table: str, first: date) -> bool:
    """Call the database's function for such partitions. Return whether it did its work."""
    statement = _RETENTION[f"{function}_{TABLES[table].value}"]
    row = connection.execute(statement, {"table": table, "first": first}).fetchone()
    return bool(row and row[0])


def _dropped(connection: Connection, table: str, first: date) -> bool | None:
    """Drop a partition if it can be locked soon. Return None if it cannot."""
    try:
        with connection.transaction():
            # While this waits for its lock, all later readers and writers of the table queue up
            # behind it. So it waits a short time only, and tries again later.
            connection.execute(_RETENTION["limit_lock_wait"])
            return _call(connection, "drop", table, first)
    except LockNotAvailable:
        return None


def _hold(connection: Connection, held: Sequence[Held]) -> None:
    # Nothing held is stored as zero: an alert ends then, and a missing series means no run so far.
    days = dict.fromkeys(product([*TABLES, *ROWS.values()], Reason), 0.0)
    days |= {(one.table, one.reason): one.days for one in held}
    connection.execute(_RETENTION["forget_held"])
    columns = {
        "tables": [table for table, _ in days],
        "reasons": [reason.value for _, reason in days],
        "days": list(days.values()),
    }
    connection.execute(_RETENTION["hold"], columns)
