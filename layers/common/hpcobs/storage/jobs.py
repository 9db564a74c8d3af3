"""Jobs in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.errors import AlreadyExistsError
from hpcobs.domain.jobs import Precedence
from hpcobs.domain.queries import JobFilter, JobPage, Position
from hpcobs.domain.states import JobState
from hpcobs.storage import statistics
from hpcobs.storage.deleting import delete_job
from hpcobs.storage.queries import load
from hpcobs.storage.rows import end_from_row, end_parameters, from_row, to_parameters
from hpcobs.storage.timings import ErrorType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from hpcobs.domain.audit import AuditInfo
    from hpcobs.domain.events import RunEnd
    from hpcobs.domain.jobs import Job, Usage
    from hpcobs.domain.lifecycle.outcome import Discard, Recompute
    from hpcobs.storage.session import Session

_JOBS = load("jobs")
_PAGES = load("pages")

MOST_HELD_STARTS = 100
"""The starts of one job that are held, each of another node: enough to find the facts of a run."""


def _audit_parameters(audit: AuditInfo, change: ChangeType) -> dict[str, str]:
    return {
        "change_type": change.value,
        "changed_by": audit.changed_by,
        "source": audit.source,
        "correlation_id": audit.correlation_id,
    }


class PostgresJobs:
    """See ``hpcobs.ports.jobs.JobRepository``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(self, job: Job, audit: AuditInfo) -> bool:
        """Add a job in one statement. Return False if the id is taken."""
        parameters = to_parameters(job) | _audit_parameters(audit, ChangeType.UPSERT)
        with self._session.operation("job_create") as connection:
            row = connection.execute(_JOBS["create"], parameters).fetchone()
        return row is not None and row[0] == 1

    def add(self, job: Job, audit: AuditInfo) -> None:
        """Add a job. If its id is taken, count a failure and raise AlreadyExistsError."""
        if not self.create(job, audit):
            self._session.timings.failed("job_create", ErrorType.CONFLICT)
            raise AlreadyExistsError(job.id)

    def get(self, job_id: str) -> Job | None:
        """Return the job, or None."""
        return self._one("job_get", _JOBS["get"], job_id)

    def lock(self, job_id: str) -> Job | None:
        """Lock the job until the transaction ends, and return it, or None."""
        return self._one("job_lock", _JOBS["lock"], job_id)

    def lock_submissions(self, job_id: str) -> Sequence[Job]:
        """Lock all submissions of an id until the transaction ends. Return them, latest first."""
        submissions = self._lock_submissions(job_id)
        if submissions and submissions[0].id != job_id:
            # While this waited for a lock, a later submission was stored, which a statement that
            # began before does not see. Or the latest one was deleted: then this reads the same.
            return self._lock_submissions(job_id)
        return submissions

    def _lock_submissions(self, job_id: str) -> Sequence[Job]:
        with (
            self._session.operation("job_lock") as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            rows = cursor.execute(_JOBS["lock_submissions"], {"id": job_id}).fetchall()
        return [from_row(row) for row in rows]

    def _one(self, operation: str, query: bytes, job_id: str) -> Job | None:
        with (
            self._session.operation(operation) as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            row = cursor.execute(query, {"id": job_id}).fetchone()
        if row is None:
            self._session.timings.failed(operation, ErrorType.NOT_FOUND)
            return None
        return from_row(row)

    def save(self, job: Job, change: ChangeType, audit: AuditInfo) -> None:
        """Write a locked job."""
        parameters = to_parameters(job) | _audit_parameters(audit, change)
        with self._session.operation("job_save") as connection:
            connection.execute(_JOBS["save"], parameters)

    def recompute(self, before: Job, after: Job, what: Recompute) -> None:
        """Compute a saved job's statistics again. ``before`` is what they were computed for."""
        with self._session.operation("job_recompute") as connection:
            statistics.recompute(connection, before, after, what)

    def discard(self, job: Job, wrong: Discard) -> None:
        """Remove samples of a locked job. The caller then recomputes its statistics."""
        with self._session.operation("samples_discard") as connection:
            statistics.discard(connection, job.key, wrong)

    def move_samples(
        self, job: Job, to: Job, *, since: datetime | None = None, until: datetime | None = None
    ) -> None:
        """Give samples of a time to another submission, with their statistics."""
        with self._session.operation("samples_move") as connection:
            statistics.move(connection, job.key, to.key, since=since, until=until)

    def release_samples(self, job: Job, reported_id: str, *, since: datetime) -> None:
        """Let a locked job's samples since a time wait for a submission of the reported id."""
        with self._session.operation("samples_release") as connection:
            statistics.release(connection, job.key, reported_id, since)

    def record_seen(self, job: Job) -> None:
        """Store when the scheduler last saw a locked job."""
        parameters = {"id": job.key, "seen_at": job.scheduler_seen_at}
        with self._session.operation("job_seen") as connection:
            connection.execute(_JOBS["record_seen"], parameters)

    def place_usage(self, key: str, usage: Usage) -> None:
        """Store a locked job's reported usage on each of its nodes."""
        parameters = {
            "id": key,
            "cpu_usage": usage.cpu_usage,
            "memory_usage_mb": usage.memory_usage_mb,
            "gpu_usage": usage.gpu_usage,
        }
        with self._session.operation("job_usage") as connection:
            connection.execute(_JOBS["place_usage"], parameters)

    def delete(self, key: str, audit: AuditInfo, *, user: str | None = None) -> bool:
        """Remove the job and its samples. Return False if ``user`` has no such job."""
        parameters = {"id": key, "user": user} | _audit_parameters(audit, ChangeType.DELETE)
        with self._session.operation("job_delete") as connection:
            return delete_job(connection, parameters)

    def page(
        self, query: JobFilter, *, limit: int, offset: int = 0, after: Position | None = None
    ) -> JobPage:
        """Return jobs newest first: the page after a position, or at an offset.

        A walk from position to position has each job that it could see when it began.
        """
        statement = _PAGES["page" if query.node is None else "page_of_node"]
        # One job more than requested shows whether there is a next page.
        parameters = _page_parameters(query, after) | {"limit": limit + 1, "offset": offset}
        with (
            self._session.operation("job_list") as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            # Never prepared: a generic plan could not leave out the filters that are not set.
            rows = cursor.execute(statement, parameters, prepare=False).fetchall()
        return _page(rows, limit, after)

    def node_ends(self, key: str) -> Sequence[RunEnd]:
        """Return the ends of the nodes that have ended in the job's current run."""
        with self._session.operation("job_node_ends") as connection:
            parameters = {"id": key, "by": Precedence.NODE.value}
            rows = connection.execute(_JOBS["node_ends"], parameters).fetchall()
        return [end_from_row(row) for row in rows]

    def record_node_end(self, key: str, end: RunEnd) -> None:
        """Store that one node of the job has ended."""
        with self._session.operation("job_node_end") as connection:
            connection.execute(_JOBS["record_node_end"], end_parameters(key, end))

    def clear_node_ends(self, key: str) -> None:
        """Remove the ends of the nodes of a job that has not ended."""
        with self._session.operation("job_node_end") as connection:
            connection.execute(_JOBS["clear_node_ends"], {"id": key})

    def unmatched_ends(self, key: str) -> Sequence[RunEnd]:
        """Return the ends that may belong to a run of the job whose start is not reported yet."""
        with self._session.operation("job_unmatched_ends") as connection:
            rows = connection.execute(_JOBS["unmatched_ends"], {"id": key}).fetchall()
        return [end_from_row(row) for row in rows]

    def keep_unmatched(self, key: str, end: RunEnd) -> None:
        """Store an unmatched end, unless one of higher precedence, or a later one, is stored."""
        with self._session.operation("job_unmatched_end") as connection:
            connection.execute(_JOBS["keep_unmatched"], end_parameters(key, end))

    def unmatched_starts(self, key: str) -> Sequence[Job]:
        """Return the starts of the job that a source of higher precedence has to confirm."""
        parameters = {"id": key, "most": MOST_HELD_STARTS}
        with self._session.operation("job_unmatched_starts") as connection:
            rows = connection.execute(_JOBS["unmatched_starts"], parameters).fetchall()
        return [from_row(job) for (job,) in rows]

    def hold_start(self, key: str, incoming: Job, sender: str | None) -> None:
        """Store an unmatched start, unless the same sender has reported a later one."""
        # The empty name stands for the controller, because a primary key takes no NULL.
        held = {"id": key, "node": sender or "", "most": MOST_HELD_STARTS}
        parameters = to_parameters(incoming) | held
        with self._session.operation("job_unmatched_start") as connection:
            connection.execute(_JOBS["hold_start"], parameters)

    def release_starts(self, key: str) -> None:
        """Delete the unmatched starts of a job."""
        with self._session.operation("job_unmatched_start") as connection:
            connection.execute(_JOBS["release_starts"], {"id": key})


def _page_parameters(query: JobFilter, after: Position | None) -> dict[str, Any]:
    return {
        "state": query.state and query.state.value,
        "user": query.user,
        "node": query.node,
        "partition": query.partition,
        "account": query.account,
        "cluster": query.cluster,
        "started_after": query.started_after,
        "started_before": query.started_before,
        "prefix": query.search and _as_prefix(query.search),
        "after_time": after and after.start_time,
        "after_id": after and after.job_id,
        "began": after and after.began,
        "moved_since": after and after.moved_since,
        "counters": _counters(query),
        "by_node_only": query == _of_node_and_time(query),
    }


def _of_node_and_time(query: JobFilter) -> JobFilter:
    """Return the part of the filter that ``job_nodes`` alone can apply."""
    return JobFilter(
        node=query.node, started_after=query.started_after, started_before=query.started_before
    )


def _counters(query: JobFilter) -> list[str] | None:
    """Return the counters that add up to the number of matches, or None if there are none."""
    states = list(JobState) if query.state is None else [query.state]
    if query != JobFilter(state=query.state):
        return None
    return [f"jobs_in_state:{state}" for state in states]


def _as_prefix(text: str) -> str:
    # LIKE would take these characters of a search as wildcards.
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{escaped}%"


def _page(rows: Sequence[Mapping[str, Any]], limit: int, after: Position | None) -> JobPage:
    jobs = [from_row(row) for row in rows[:limit] if row["id"] is not None]
    # There is always a row: without a match it holds the total only, and no id.
    total = rows[0]["total"]
    return JobPage(jobs=tuple(jobs), total=total, next_position=_next(rows, limit, after))


def _next(rows: Sequence[Mapping[str, Any]], limit: int, after: Position | None) -> Position | None:
    """Return where the next page begins, in this round of the walk or in the next one."""
    began = after.began if after else None
    if len(rows) > limit:
        last = rows[limit - 1]
        began = rows[0]["read_at"] if began is None else began
        moved_since = after.moved_since if after else None
        return Position(last["page_time"], last["page_id"], began, moved_since)
    # A round of one page is read at one moment: no job can have passed it by.
    return Position.of_next_round(began) if began is not None and rows[0]["moved"] else None
