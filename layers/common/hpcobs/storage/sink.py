"""The collector's way into the database: a whole drain in one transaction.

Rows are copied into staging tables of the session; set-based statements then store what is new and
add it, and nothing else, to the statistics. Jobs are locked in the order of their ids, so that two
collectors never wait for each other in a circle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpcobs.domain.samples import GpuSample, QueuedSample, RejectedSample, Stored
from hpcobs.storage.queries import load
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.samples import HostReading, Sample
    from hpcobs.ports.samples import Drain
    from hpcobs.storage.connections import Connection, Connections
    from hpcobs.storage.timings import OperationTimings

_SINK = load("sink")
_REFRESH_JOBS = load("statistics")["refresh_jobs"]

WAITING_BATCH = 5000

_SAMPLE_TYPES = (
    *("text", "int4", "text", "timestamptz", "text", "float8", "int8", "float8", "int8", "int8"),
    *("float8", "float8", "int8", "int8"),
)
_GPU_TYPES = (
    *("text", "timestamptz", "text", "text", "text", "float8", "int8", "int8", "float8", "float8"),
)


class PostgresSink:
    """See ``hpcobs.ports.samples.SampleSink``."""

    def __init__(self, connections: Connections, timings: OperationTimings) -> None:
        self._session = Session(connections.connection, timings)

    def store(self, drain: Drain) -> Stored:
        """Write a drain in one transaction: each sample once, statistics from what is new."""
        with self._session.operation("samples_store") as connection, connection.transaction():
            _stage(connection, drain.samples, drain.gpus)
            stored = _merge(connection) if drain.samples else Stored()
            _see_hosts(connection, drain.hosts)
            stored += Stored(rejected=_reject(connection, drain.rejected))
            _count(connection, stored)
        return stored

    def settle_waiting(self, *, give_up_before: datetime) -> Stored:
        """Store the samples whose job has become known; set aside those that wait since before."""
        with self._session.operation("samples_settle") as connection, connection.transaction():
            connection.execute(_SINK["stage"], prepare=False)
            taken = connection.execute(_SINK["take_waiting"], {"limit": WAITING_BATCH}).rowcount
            stored = _merge(connection) if taken else Stored()
            late = {"before": give_up_before, "limit": WAITING_BATCH}
            stored += Stored(rejected=_number(connection, _SINK["give_up"], late))
            _count(connection, stored)
        return stored

    def finish_run(self, *, finished_at: datetime, lag_seconds: float) -> None:
        """Fold what was counted, and tell when the collector ran and how far behind it was."""
        gauges = {"finished_at": finished_at.timestamp(), "lag_seconds": lag_seconds}
        with self._session.operation("collect_finish") as connection, connection.transaction():
            connection.execute(_SINK["fold"])
            connection.execute(_SINK["set_gauges"], gauges)
        self._session.flush_timings()


def add_one(connection: Connection, sample: Sample) -> bool:
    """Store a single sample of a job that the caller has locked; False if it was there."""
    _stage(connection, [QueuedSample("", 0, *sample)], ())
    stored = _merge(connection)
    connection.execute(_SINK["clear"])
    _count(connection, stored)
    return stored.stored == 1


def _stage(
    connection: Connection, samples: Sequence[QueuedSample], gpus: Sequence[GpuSample]
) -> None:
    connection.execute(_SINK["stage"], prepare=False)
    _copy(connection, _SINK["copy_samples"], _SAMPLE_TYPES, samples)
    _copy(connection, _SINK["copy_gpus"], _GPU_TYPES, gpus)


def _copy(
    connection: Connection, statement: bytes, types: Sequence[str], rows: Sequence[Any]
) -> None:
    if not rows:
        return
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _merge(connection: Connection) -> Stored:
    """Bring what is staged into its tables."""
    connection.execute(_SINK["ensure_days"])
    connection.execute(_SINK["lock_jobs"])
    waiting = _number(connection, _SINK["wait"])
    row = connection.execute(_SINK["merge"]).fetchone()
    inserted, known, job_ids = row or (0, 0, [])
    connection.execute(_REFRESH_JOBS, {"ids": job_ids})
    connection.execute(_SINK["merge_gpus"])
    return Stored(stored=inserted, duplicates=known - inserted, waiting=waiting)


def _see_hosts(connection: Connection, hosts: Sequence[HostReading]) -> None:
    if not hosts:
        return
    columns = zip(*hosts, strict=True)
    names = ("names", "seen_at", "clusters", "cpus", "memory_total_mb", "memory_used_mb")
    parameters = dict(zip((*names, "cpu_load", "gpus"), map(list, columns), strict=True))
    connection.execute(_SINK["see_hosts"], parameters)


def _reject(connection: Connection, rejected: Sequence[RejectedSample]) -> int:
    if not rejected:
        return 0
    columns = zip(*rejected, strict=True)
    names = ("batch_ids", "positions", "nodes", "job_ids", "reasons", "payloads")
    parameters = dict(zip(names, map(list, columns), strict=True))
    return _number(connection, _SINK["reject"], parameters)


def _count(connection: Connection, stored: Stored) -> None:
    parameters = {
        "stored": stored.stored,
        "duplicates": stored.duplicates,
        "rejected": stored.rejected,
    }
    connection.execute(_SINK["count"], parameters)


def _number(
    connection: Connection, statement: bytes, parameters: dict[str, Any] | None = None
) -> int:
    row = connection.execute(statement, parameters).fetchone()
    return int(row[0]) if row else 0
