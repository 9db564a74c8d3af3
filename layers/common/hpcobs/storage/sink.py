"""The collector's way into the database: a whole drain in one transaction.

Samples that are certainly new are copied straight in (``fresh``). All others are staged, and
set-based statements store what is new of them (``staging``). Only what is really stored is added to
statistics. Jobs are locked in the order of their ids, so that two collectors never wait for each
other in a circle.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from psycopg.errors import UniqueViolation

from hpcobs.domain.samples import QueuedSample, Stored
from hpcobs.storage.fresh import Routed, hold, hours_of, route, store_fresh
from hpcobs.storage.queries import load
from hpcobs.storage.session import Session
from hpcobs.storage.staging import merge, stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hpcobs.domain.samples import HostReading, RejectedSample, Sample
    from hpcobs.ports.samples import WriteBatch
    from hpcobs.storage.connections import Connection, Connections
    from hpcobs.storage.timings import OperationTimings

logger = logging.getLogger(__name__)

_SINK = load("sink")
_REFRESH_JOBS = load("statistics")["refresh_jobs"]

WAITING_SAMPLES = 10_000
WAITING_JOBS = 1000


class PostgresSampleWriter:
    """See ``hpcobs.ports.samples.SampleWriter``."""

    def __init__(self, connections: Connections, timings: OperationTimings) -> None:
        self._session = Session(connections.connection, timings)

    def store(self, drain: WriteBatch) -> Stored:
        """Write a drain in one transaction: each sample once, statistics from what is new."""
        try:
            return self._write(drain)
        except UniqueViolation:
            # A job's statistics told of an earlier latest sample than is stored.
            logger.exception("samples taken for new ones were not; they are looked up")
            return self._write(drain, look_up=True)

    def _write(self, drain: WriteBatch, *, look_up: bool = False) -> Stored:
        with self._session.operation("samples_store") as connection, connection.transaction():
            stored = Stored()
            if drain.samples:
                stored = _store(connection, drain.samples, look_up=look_up)
            _see_hosts(connection, drain.hosts)
            stored += Stored(rejected=_reject(connection, drain.rejected))
            _count(connection, stored)
        return stored

    def settle_waiting(self, *, give_up_before: datetime) -> Stored:
        """Store samples whose job has become known; set aside those that wait since before.

        As many as are worth a transaction: there may be more until nothing became of any.
        """
        with self._session.operation("samples_settle") as connection, connection.transaction():
            stored = _take_waiting(connection)
            late = {"before": give_up_before, "limit": WAITING_SAMPLES}
            stored += Stored(rejected=_number(connection, _SINK["give_up"], late))
            _count(connection, stored)
        return stored

    def finish_run(self, *, finished_at: datetime, lag_seconds: float) -> None:
        """Fold what was counted, and tell when the collector ran and how far behind it was."""
        gauges = {"finished_at": finished_at.timestamp(), "lag_seconds": lag_seconds}
        with self._session.operation("collect_finish") as connection, connection.transaction():
            connection.execute(_SINK["fold"])
            connection.execute(_SINK["set_gauges"], gauges)


def add_one(connection: Connection, sample: Sample) -> bool:
    """Store a single sample of a job that the caller has locked; False if it was there."""
    connection.execute(_SINK["stage"], prepare=False)
    stage(connection, [QueuedSample(**sample._asdict())])
    stored = _merge_staged(connection)
    _count(connection, stored)
    return stored.stored == 1


def _store(connection: Connection, samples: Sequence[QueuedSample], *, look_up: bool) -> Stored:
    connection.execute(_SINK["stage"], prepare=False)
    jobs = hold(connection, {sample.job_id for sample in samples})
    routed = Routed(others=list(samples)) if look_up else route(connection, samples, jobs)
    # After the jobs' locks, as everywhere: making a partition locks others out as well.
    _open_hours(connection, hours_of(routed))
    stored = Stored(stored=len(samples) - len(routed.others))
    changed = {job_id for job_id, _ in routed.fresh}
    if routed.fresh:
        store_fresh(connection, routed.fresh, jobs)
    if routed.others:
        stage(connection, routed.others)
        merged, changed_by_merge = merge(connection, jobs)
        stored += merged
        changed |= changed_by_merge
    connection.execute(_REFRESH_JOBS, {"ids": list(changed)})
    return stored


def _take_waiting(connection: Connection) -> Stored:
    rows = connection.execute(_SINK["awaited_jobs"], {"limit": WAITING_JOBS}).fetchall()
    if not rows:
        return Stored()
    connection.execute(_SINK["stage"], prepare=False)
    # Locked before their samples are taken: in the order in which everybody takes both.
    held = hold(connection, [job_id for (job_id,) in rows])
    parameters = {"ids": list(held), "limit": WAITING_SAMPLES}
    connection.execute(_SINK["take_waiting"], parameters)
    return _merge_staged(connection)


def _merge_staged(connection: Connection) -> Stored:
    """Store samples that are staged already."""
    job_ids, hours = connection.execute(_SINK["staged"]).fetchone() or ([], [])
    jobs = hold(connection, job_ids)
    _open_hours(connection, hours)
    stored, changed = merge(connection, jobs)
    connection.execute(_REFRESH_JOBS, {"ids": list(changed)})
    return stored


def _open_hours(connection: Connection, hours: Iterable[datetime]) -> None:
    connection.execute(_SINK["open_hours"], {"hours": list(hours)})


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
    names = ("batch_ids", "positions", "nodes", "job_ids", "reasons", "payloads", "clusters")
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
