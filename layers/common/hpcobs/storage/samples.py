"""Series of samples in PostgreSQL, read by job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from hpcobs.domain.rollups import interval_seconds
from hpcobs.domain.samples import GpuPoint, SamplePoint
from hpcobs.storage.queries import load
from hpcobs.storage.sample_writer.writer import add_one, read_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hpcobs.domain.queries import SeriesQuery
    from hpcobs.domain.samples import Sample, SampleLimits
    from hpcobs.storage.session import Session

Point = TypeVar("Point")

_SAMPLES = load("samples")


class PostgresSamples:
    """See ``hpcobs.ports.samples.SampleRepository``.

    A bucket follows the rules of ``domain.jobs.Usage`` for a whole run. Averages of CPU and GPU are
    over all samples, weighted by the node. The average of memory is the sum of the nodes' averages.
    Maxima are the highest sample, the one of memory the sum of the nodes' highest. Nodes without a
    sample in a bucket are no part of it.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def limits(self) -> SampleLimits:
        """Return the database's time, and the time before which samples are dropped."""
        with self._session.operation("sample_limits") as connection:
            return read_limits(connection)

    def add(self, sample: Sample) -> bool:
        """Store one sample and update its job's statistics. Return False if it is a duplicate.

        Raise InvalidInputError if the samples of its day are dropped.
        """
        with self._session.operation("sample_add") as connection:
            return add_one(connection, sample)

    def series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[SamplePoint], int]:
        """Return the job's points oldest first, at most ``limit``, and their total."""
        name = "series" if query.resolution_seconds is None else "buckets"
        return self._read("sample_series", _SAMPLES[name], job_id, query, SamplePoint)

    def gpu_series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[GpuPoint], int]:
        """Return the points of each of the job's GPUs, as ``series`` does."""
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
