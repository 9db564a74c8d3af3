"""The deletion of a job, with its samples and roll-ups, in one transaction.

A job may have millions of samples. Each statement deletes a bounded number, so that none comes near
the statements' time limit. The order of locks is that of all writers: the job, then its rows. A
roll-up locks rows of many jobs, and a deletion never waits for them (``delete_rollups``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hpcobs.storage.connections import Connection

_DELETING = load("deleting")

BATCH = 100_000
"""The rows of one statement: at about 300,000 rows a second it takes far less than 10 s."""

_PARTS = ("delete_samples", "delete_gpu_samples", "delete_rollups", "delete_gpu_rollups")


def delete_job(connection: Connection, parameters: Mapping[str, Any]) -> bool:
    """Delete a job by its key. Return False if the user of the parameters has no such job."""
    with connection.transaction():
        # Locked by a separate statement: the next one sees what a collector has committed
        # while this one waited.
        connection.execute(_DELETING["lock_key"], parameters)
        row = connection.execute(_DELETING["delete"], parameters).fetchone()
        if row is None or row[0] == 0:
            return False
        for part in _PARTS:
            _delete_all(connection, _DELETING[part], parameters["id"])
    return True


def _delete_all(connection: Connection, statement: bytes, key: str) -> None:
    since: Any = "-infinity"
    while since is not None:
        parameters = {"id": key, "since": since, "limit": BATCH}
        # Never prepared: a plan for given times leaves out the other days' partitions.
        row = connection.execute(statement, parameters, prepare=False).fetchone()
        since = row[0] if row else None
