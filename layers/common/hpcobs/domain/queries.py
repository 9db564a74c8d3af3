"""Queries for jobs and for their series of samples."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


BEHIND_ALL_STARTS = datetime(2300, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Position:
    """The end of a page: the last job's start and id. The next page holds older jobs.

    A walk has rounds. The first has all jobs, each later one those whose start has moved ahead
    since the round before began. ``began`` is when this round began and ``moved_since`` when the
    one before did, as numbers of the database's transactions. None: with this page, and never.
    """

    start_time: datetime
    job_id: str
    began: int | None = None
    moved_since: int | None = None

    @classmethod
    def of_next_round(cls, began: int) -> Position:
        """Return the position before the first page of a round. ``began``: the one before."""
        return cls(BEHIND_ALL_STARTS, "-", moved_since=began)


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
