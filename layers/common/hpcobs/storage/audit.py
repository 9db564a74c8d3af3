"""The audit trail in PostgreSQL. It is only read here: every change writes its own row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from hpcobs.domain.audit import AuditEvent, AuditInfo, ChangeType
from hpcobs.storage.queries import load
from hpcobs.storage.rows import from_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hpcobs.storage.session import Session

_AUDIT = load("audit")


class PostgresAuditTrail:
    """See ``hpcobs.ports.jobs.AuditTrail``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def of_job(self, job_id: str, *, limit: int = 1000) -> Sequence[AuditEvent]:
        """Return the job's latest changes, oldest first, also those of a deleted job."""
        parameters = {"job_id": job_id, "limit": limit}
        with (
            self._session.operation("audit_list") as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            rows = cursor.execute(_AUDIT["of_job"], parameters).fetchall()
        return [_event(row) for row in rows]


def _event(row: Mapping[str, Any]) -> AuditEvent:
    return AuditEvent(
        id=row["id"],
        job_id=row["job_id"],
        change_type=ChangeType(row["change_type"]),
        changed_at=row["changed_at"],
        info=AuditInfo(row["changed_by"], row["source"], row["correlation_id"]),
        snapshot=from_row(row["job_snapshot"]),
    )
