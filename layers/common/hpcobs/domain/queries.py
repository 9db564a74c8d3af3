"""Queries for jobs and for their series of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from hpcobs.domain.jobs import Job
    from hpcobs.domain.states import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """A selection of jobs. None means any. ``search`` is a prefix of the id, name or user."""

    state: JobState | None = None
    user: str | None = None
    node: str | None = None
    partition: str | None = None
    account: str | None = None
    cluster: str | None = None
    started_after: datetime | None = None
    started_before: datetime | None = None
    search: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """The end of a page: the last job's start and id. The next page holds older jobs."""

    start_time: datetime
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """Jobs newest first.

    ``total`` is exact for all jobs and for those of one state. Otherwise counting stops at 10,001,
    which means "more".
    """

    jobs: tuple[Job, ...]
    total: int
    next_position: Position | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesQuery:
    """A part of a job's series, from ``start`` to before ``end``.

    Without a resolution it has raw samples.
    """

    start: datetime | None = None
    end: datetime | None = None
    limit: int = 1000
    resolution_seconds: int | None = None
    node: str | None = None
