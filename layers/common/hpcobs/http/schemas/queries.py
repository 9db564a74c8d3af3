"""Query parameters of the jobs routes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.queries import JobFilter, Position, SeriesQuery
from hpcobs.domain.states import JobState  # noqa: TC001 - pydantic reads it at run time
from hpcobs.http import cursors
from hpcobs.http.schemas.types import (
    ClusterName,
    InDigits,
    NodeName,
    Query,
    QueryTime,
    RequiredText,
)

# PostgreSQL reads and drops all rows before an offset. Cursors have no such limit.
MAX_OFFSET = 100_000
MAX_RESOLUTION_SECONDS = 31 * 86_400
MAX_CURSOR = 600


def _none_if_raw(value: Any) -> Any:
    return None if value == "raw" else value


Resolution = Annotated[
    Annotated[int, Field(ge=1, le=MAX_RESOLUTION_SECONDS), InDigits] | None,
    BeforeValidator(_none_if_raw),
]
"""``raw``, or the seconds of a bucket."""


class JobsQuery(Query):
    """The query of ``GET /v1/jobs``."""

    state: JobState | None = None
    user: RequiredText | None = None
    node: NodeName | None = None
    partition: RequiredText | None = None
    account: RequiredText | None = None
    cluster: ClusterName | None = None
    started_after: QueryTime | None = None
    started_before: QueryTime | None = None
    q: RequiredText | None = None
    limit: Annotated[int, Field(ge=1, le=1000), InDigits] = 100
    offset: Annotated[int, Field(ge=0, le=MAX_OFFSET), InDigits] = 0
    cursor: Annotated[str, Field(min_length=1, max_length=MAX_CURSOR)] | None = None

    def to_filter(self) -> JobFilter:
        """Return the filter for the jobs to list."""
        return self.into(JobFilter, search=self.q)

    def position(self) -> Position | None:
        """Return where the previous page ended. Raise InvalidInputError with an offset as well."""
        if self.cursor is None:
            return None
        if self.offset:
            raise InvalidInputError("offset", "cannot go with a cursor")
        return cursors.decode(self.cursor)


class SamplesQuery(Query):
    """The query of a job's series."""

    start_time: QueryTime | None = None
    end_time: QueryTime | None = None
    limit: Annotated[int, Field(ge=1, le=10_000), InDigits] = 1000
    resolution: Resolution = None
    node: NodeName | None = None

    def to_query(self) -> SeriesQuery:
        """Return the part of the series to read."""
        return SeriesQuery(
            start=self.start_time,
            end=self.end_time,
            limit=self.limit,
            resolution_seconds=self.resolution,
            node=self.node,
        )
