"""Series of samples in PostgreSQL, read by job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from hpcobs.domain.rollups import interval_seconds
from hpcobs.domain.samples import GpuPoint, SamplePoint
from hpcobs.storage.queries import load
from hpcobs.storage.sample_writer.writer import add_one

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpcobs.domain.queries import SeriesQuery
    from hpcobs.domain.samples import Sample
    from hpcobs.storage.session import Session

Point = TypeVar("Point")

_SAMPLES = load("samples")


class PostgresSamples:
    """See ``hpcobs.ports.samples.SampleRepository``.

    A bucket says what ``domain.jobs.Usage`` says of a whole run: averages of CPU and GPU are over
    all its samples, those of a node by its weight; that of memory is the sum of each node's. Maxima
    are the highest sample, that of memory the sum of each node's highest. Nodes without a sample in
    a bucket are no part of it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, sample: Sample) -> bool:
        """Store one sample of a known job and update its statistics; False if it was there."""
        with self._session.operation("sample_add") as connection:
            return add_one(connection, sample)

    def series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[SamplePoint], int]:
        """The job's points oldest first, at most ``limit``, and how many there are in all."""
        name = "series" if query.resolution_seconds is None else "buckets"
        return self._read("sample_series", _SAMPLES[name], job_id, query, SamplePoint)

    def gpu_series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[GpuPoint], int]:
        """As ``series``, for each of the job's GPUs."""
        name = "gpu_series" if query.resolution_seconds is None else "gpu_buckets"
        return self._read("gpu_series", _SAMPLES[name], job_id, query, GpuPoint)

    def _read(
        self,
        operation: str,
        statement: bytes,
        job_id: str,
        query: SeriesQuery,
        point: Callable[..., Point],
    ) -> tuple[Sequence[Point], int]:
        parameters = _parameters(job_id, query)
        with self._session.operation(operation) as connection:
            # Never prepared: a plan for given times leaves out the other days' partitions.
            rows = connection.execute(statement, parameters, prepare=False, binary=True).fetchall()
        return [point(*row[1:]) for row in rows if row[1] is not None], rows[0][0]


def _parameters(job_id: str, query: SeriesQuery) -> dict[str, Any]:
    return {
        "job_id": job_id,
        "start": query.start,
        "end": query.end,
        "node": query.node,
        "limit": query.limit,
        "resolution": query.resolution_seconds,
        "interval": interval_seconds(query.resolution_seconds),
    }
