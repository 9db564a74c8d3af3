"""The collector's way into the database: a write batch is stored in one transaction.

Samples that are certainly new are appended (``append_path``). All others are staged and merged
(``merge_path``). Only what is really stored is added to statistics. The order of locks is the same
everywhere: jobs in the order of their ids, then partitions, then rows of the jobs.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from psycopg.errors import UniqueViolation

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.rejecting import rejected_sample, sealed_sample
from hpcobs.domain.samples import SEALED, QueuedSample, SampleLimits, Stored
from hpcobs.storage.queries import load
from hpcobs.storage.sample_writer.append_path import LockedJob, SplitSamples, append, split
from hpcobs.storage.sample_writer.merge_path import merge, stage
from hpcobs.storage.sample_writer.sealing import Seals, take_overdue, take_sealed, unstage_sealed
from hpcobs.storage.sample_writer.submissions import by_submission, read_submissions
from hpcobs.storage.session import Session

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from hpcobs.domain.samples import HostReading, RejectedSample, Sample
    from hpcobs.ports.samples import WriteBatch
    from hpcobs.storage.connections import Connection, Connections
    from hpcobs.storage.timings import OperationTimings

logger = logging.getLogger(__name__)

_WRITER = load("sample_writer")
_MERGE = load("merge_path")
_REFRESH_JOBS = load("statistics")["refresh_jobs"]
_REMOVE_REJECTED = load("rejected")["remove"]

WAITING_SAMPLES = 10_000
WAITING_JOBS = 1000
"""Waiting samples, and their jobs, in one transaction: so it stays short and small."""
BEFORE_SUBMISSION = "is from before the job's submission, when its id was that of another job"
NO_SUCH_JOB = "job_id: no such job was reported"


class PostgresSampleWriter:
    """See ``hpcobs.ports.samples.SampleWriter``."""

    def __init__(self, connections: Connections, timings: OperationTimings) -> None:
        self._session = Session(connections.connection, timings)

    def limits(self) -> SampleLimits:
        """Return the database's time, and the time before which samples are dropped."""
        with self._session.operation("sample_limits") as connection:
            return read_limits(connection)

    def store(self, batch: WriteBatch) -> Stored:
        """Write a batch in one transaction. Each sample counts once in its job's statistics."""
        try:
            return self._write(batch)
        except UniqueViolation:
            # A node's last_sample_at was earlier than its latest stored sample. The merge path does
            # not rely on it, but takes two to three times as long.
            logger.exception("samples to append were stored already: all are looked up instead")
            return self._write(batch, look_up=True)

    def _write(self, batch: WriteBatch, *, look_up: bool = False) -> Stored:
        with self._session.operation("samples_store") as connection, connection.transaction():
            stored = Stored()
            if batch.replayed:
                # First, because some may be rejected again, for another reason.
                connection.execute(_REMOVE_REJECTED, {"rejected_ids": batch.replayed})
            if batch.samples:
                stored = _store(connection, batch.samples, look_up=look_up)
            _update_hosts(connection, batch.hosts)
            stored += Stored(rejected=_reject(connection, batch.rejected))
            _count(connection, stored)
        return stored

    def settle_waiting(self, *, reject_before: datetime) -> Stored:
        """Store waiting samples whose job is known by now.

        Reject the others that have waited since before ``reject_before``. One transaction handles a
        bounded number of samples: call it until it returns zeros only.
        """
        with self._session.operation("samples_settle") as connection, connection.transaction():
            stored = _store_waiting(connection)
            overdue = take_overdue(connection, reject_before, limit=WAITING_SAMPLES)
            rejected = [rejected_sample(sample, NO_SUCH_JOB) for sample in overdue]
            stored += Stored(rejected=_reject(connection, rejected))
            _count(connection, stored)
        return stored

    def finish_run(self, *, finished_at: datetime, lag_seconds: float) -> None:
        """Fold the counters. Store when the collector ran and how far behind it was."""
        gauges = {"finished_at": finished_at.timestamp(), "lag_seconds": lag_seconds}
        with self._session.operation("collect_finish") as connection, connection.transaction():
            connection.execute(_WRITER["fold"])
            connection.execute(_WRITER["set_gauges"], gauges)


def read_limits(connection: Connection) -> SampleLimits:
    """Return the database's time, and the time before which samples are dropped."""
    return SampleLimits(*connection.execute(_WRITER["limits"]).fetchone() or ())


def add_one(connection: Connection, sample: Sample) -> bool:
    """Store one sample of a job that the caller has locked. Return False if it is a duplicate.

    Raise InvalidInputError if the samples of its day are dropped, or if its id was another job's.
    """
    for job in lock_jobs(connection, [sample.job_id]).values():
        if job.first is not None and sample.timestamp < job.first:
            raise InvalidInputError("timestamp", BEFORE_SUBMISSION)
    _create_staging(connection)
    stage(connection, [QueuedSample(**sample._asdict())])
    stored, sealed = _merge_staged(connection)
    if sealed:
        raise InvalidInputError("timestamp", SEALED)
    _count(connection, stored)
    return stored.stored == 1


def lock_jobs(connection: Connection, job_ids: Collection[str]) -> dict[str, LockedJob]:
    """Lock those of ``job_ids`` that are known, in the order of their ids."""
    rows = connection.execute(_WRITER["lock_jobs"], {"ids": list(job_ids)})
    return {job_id: LockedJob(*job) for job_id, *job in rows}


def _with_locked_jobs(
    connection: Connection, samples: Sequence[QueuedSample]
) -> tuple[Sequence[QueuedSample], dict[str, LockedJob]]:
    """Lock the samples' jobs. Return the samples, each with the key of its job, and the jobs."""
    job_ids = {sample.job_id for sample in samples}
    reused = read_submissions(connection, job_ids)
    keyed = by_submission(samples, reused) if reused else samples
    jobs = lock_jobs(connection, job_ids | {sample.job_id for sample in keyed})
    if any(job_id in jobs and jobs[job_id].is_reused for job_id in job_ids - reused.keys()):
        # Another submission was reported between the two statements. Now its row is locked.
        return _with_locked_jobs(connection, samples)
    return keyed, jobs


def _store(connection: Connection, samples: Sequence[QueuedSample], *, look_up: bool) -> Stored:
    _create_staging(connection)
    samples, jobs = _with_locked_jobs(connection, samples)
    by_path = SplitSamples(to_merge=list(samples)) if look_up else split(connection, samples, jobs)
    hours = by_path.hours()
    seals = _open_hours(connection, hours)
    sealed = take_sealed(by_path, seals) if seals.may_exclude(hours) else []
    stored = Stored(
        stored=len(samples) - len(by_path.to_merge) - len(sealed),
        rejected=_reject(connection, [sealed_sample(sample) for sample in sealed]),
    )
    changed = {job_id for job_id, _ in by_path.to_append}
    if by_path.to_append:
        append(connection, by_path.to_append, jobs)
    if by_path.to_merge:
        repeated = stage(connection, by_path.to_merge)
        merged, changed_by_merge = merge(connection, jobs)
        stored += merged + Stored(duplicates=repeated)
        changed |= changed_by_merge
    connection.execute(_REFRESH_JOBS, {"ids": list(changed)})
    return stored


def _store_waiting(connection: Connection) -> Stored:
    rows = connection.execute(_MERGE["waiting_jobs"], {"limit": WAITING_JOBS}).fetchall()
    if not rows:
        return Stored()
    _create_staging(connection)
    job_ids = [job_id for (job_id,) in rows]
    reused = read_submissions(connection, job_ids)
    keys = {submission.key for submissions in reused.values() for submission in submissions}
    # The jobs are locked before their waiting samples, as a deletion of a job locks both.
    lock_jobs(connection, {*job_ids, *keys})
    parameters = {"ids": job_ids, "limit": WAITING_SAMPLES}
    connection.execute(_MERGE["stage_waiting"], parameters)
    if reused:
        connection.execute(_MERGE["key_waiting"], {"ids": list(reused)})
        connection.execute(_MERGE["key_waiting_gpus"], {"ids": list(reused)})
    stored, sealed = _merge_staged(connection)
    rejected = _reject(connection, [sealed_sample(sample) for sample in sealed])
    return stored + Stored(rejected=rejected)


def _merge_staged(connection: Connection) -> tuple[Stored, list[QueuedSample]]:
    """Store samples that are staged already, and return those of dropped days."""
    job_ids, hours = connection.execute(_MERGE["staged"]).fetchone() or ([], [])
    jobs = lock_jobs(connection, job_ids)
    seals = _open_hours(connection, hours)
    sealed = unstage_sealed(connection, seals) if seals.may_exclude(hours) else []
    stored, changed = merge(connection, jobs)
    connection.execute(_REFRESH_JOBS, {"ids": list(changed)})
    return stored, sealed


def _create_staging(connection: Connection) -> None:
    # Several statements in one text: the server prepares single ones only.
    connection.execute(_WRITER["create_staging"], prepare=False)


def _open_hours(connection: Connection, hours: Iterable[datetime]) -> Seals:
    """Note the hours for the roll-ups, and create the partitions that are missing.

    Return which days are dropped. No other is until the transaction ends. Call it after
    ``lock_jobs``: creating a partition takes a lock too, the second in the order.
    """
    row = connection.execute(_WRITER["open_hours"], {"hours": list(hours)}).fetchone()
    return Seals(*row or ())


def _update_hosts(connection: Connection, hosts: Sequence[HostReading]) -> None:
    if not hosts:
        return
    columns = zip(*hosts, strict=True)
    names = ("names", "seen_at", "clusters", "cpus", "memory_total_mb", "memory_used_mb")
    parameters = dict(zip((*names, "cpu_load", "gpus"), map(list, columns), strict=True))
    connection.execute(_WRITER["update_hosts"], parameters)


def _reject(connection: Connection, rejected: Sequence[RejectedSample]) -> int:
    if not rejected:
        return 0
    columns = zip(*rejected, strict=True)
    names = ("batch_ids", "positions", "nodes", "job_ids", "reasons", "payloads", "clusters")
    parameters = dict(zip(names, map(list, columns), strict=True))
    return _number(connection, _WRITER["reject"], parameters)


def _count(connection: Connection, stored: Stored) -> None:
    parameters = {
        "stored": stored.stored,
        "duplicates": stored.duplicates,
        "rejected": stored.rejected,
    }
    connection.execute(_WRITER["count"], parameters)


def _number(connection: Connection, statement: bytes, parameters: dict[str, Any]) -> int:
    row = connection.execute(statement, parameters).fetchone()
    return int(row[0]) if row else 0
