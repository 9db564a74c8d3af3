"""What the cluster tells about a job: a start, an end, or the controller's whole view."""

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
    """Which hook saw the start."""

    PROLOG = "prolog"
    PROLOG_SLURMCTLD = "prolog_slurmctld"


class FinishSource(StrEnum):
    """Which hook saw the end."""

    EPILOG = "epilog"
    EPILOG_SLURMCTLD = "epilog_slurmctld"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStarted:
    """A job starts on ``nodes``; ``node`` is the sender. ``job_id`` is the scheduler's own."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFinished:
    """A job, or one ``node`` of it, has ended, as far as the sender knows."""

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
        """How far this event is believed."""
        if self.source is FinishSource.EPILOG_SLURMCTLD:
            return Precedence.CONTROLLER_EPILOG
        return Precedence.NODE_EPILOG


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerJob:
    """A job as the controller saw it at ``observed_at``; the most believed word there is."""

    job_id: str
    user: str
    state: JobState
    raw_state: str
    observed_at: datetime
    nodes: tuple[str, ...] = ()
    submit_time: datetime | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
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
    """How a run ended, on one ``node`` or as a whole, and by whose word."""

    ended_at: datetime
    state: JobState
    by: Precedence
    exit_code: int | None = None
    signal: int | None = None
    node: str | None = None
