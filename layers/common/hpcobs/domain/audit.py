"""The audit trail: who changed a job, when, from where, and the job after the change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from hpcobs.domain.errors import MissingAuditInfoError

if TYPE_CHECKING:
    from datetime import datetime

    from hpcobs.domain.jobs import Job


class ChangeType(StrEnum):
    """The kind of a change. A ``correction`` changes a job after its end."""

    UPSERT = "upsert"
    UPDATE = "update"
    DELETE = "delete"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class AuditInfo:
    """The origin of a change. ``changed_by`` begins with the token's subject."""

    changed_by: str
    source: str
    correlation_id: str

    def __post_init__(self) -> None:
        """Reject a change without an author. Raise MissingAuditInfoError."""
        for name in ("changed_by", "source", "correlation_id"):
            if not getattr(self, name):
                raise MissingAuditInfoError(name, "must not be empty")


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One row of the trail. ``snapshot`` is the whole job after the change."""

    id: int
    job_id: str
    change_type: ChangeType
    changed_at: datetime
    info: AuditInfo
    snapshot: Job
