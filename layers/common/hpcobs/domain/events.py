"""Events of a job: a start, an end, or the controller's whole view."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from hpcobs.domain.jobs import Precedence, Resources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from hpcobs.domain.states import JobState


class StartSource(StrEnum):
    """The hook that reported the start."""

    PROLOG = "prolog"
    PROLOG_SLURMCTLD = "prolog_slurmctld"


class FinishSource(StrEnum):
    """The hook that reported the end."""

    EPILOG = "epilog"
    EPILOG_SLURMCTLD = "epilog_slurmctld"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """A job starts on ``nodes``. ``node`` is the sender, ``job_id`` the scheduler's id."""

    job_id: str
    user: str
    nodes: tuple[str, ...]
    timestamp: datetime
    node: str | None = None
    source: StartSource = StartSource.PROLOG
    resources: Resources = field(default_factory=Resources)
    partition: str | None = None
    account: str | None = None
    cluster_name: str | None = None
    name: str | None = None
    array_job_id: str | None = None
    array_task_id: str | None = None
    restart_count: int = 0

    @property
    def precedence(self) -> Precedence:
        """The precedence of this event's source."""
        if self.source is StartSource.PROLOG_SLURMCTLD:
            return Precedence.CONTROLLER_HOOK
        return Precedence.NODE


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinished:
    """A job, or one ``node`` of it, has ended.

    An epilog sees only the exit status. A cancelled, timed-out or requeued job looks to it like a
    success, which a source of higher precedence corrects.
    """

    job_id: str
    final_state: JobState
    timestamp: datetime
    exit_code: int | None = None
    signal: int | None = None
    node: str | None = None
    nodes: tuple[str, ...] = ()
    user: str | None = None
    cluster_name: str | None = None
    restart_count: int | None = None
    source: FinishSource = FinishSource.EPILOG

    @property
    def precedence(self) -> Precedence:
        """The precedence of this event's source."""
        if self.source is FinishSource.EPILOG_SLURMCTLD:
            return Precedence.CONTROLLER_HOOK
        return Precedence.NODE


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerJob:
    """A job as the controller showed it at ``observed_at``: the source of highest precedence.

    ``suspended_seconds`` is the time of all suspensions that have ended. ``suspended_since`` is
    the beginning of the current suspension, or None.
    """

    job_id: str
    user: str
    state: JobState
    raw_state: str
    observed_at: datetime
    nodes: tuple[str, ...] = ()
    submit_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    suspended_seconds: float = 0.0
    suspended_since: datetime | None = None
    name: str | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    priority: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    state_reason: str | None = None
    time_limit_minutes: int | None = None
    cluster_name: str | None = None
    array_job_id: str | None = None
    array_task_id: str | None = None
    restart_count: int | None = None
    resources: Resources = field(default_factory=Resources)
    extra: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """The end of a run, on one ``node`` or as a whole, from a source of precedence ``by``."""

    ended_at: datetime
    state: JobState
    by: Precedence
    exit_code: int | None = None
    signal: int | None = None
    node: str | None = None
