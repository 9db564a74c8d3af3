"""The repositories of samples: one to read them by job, one for the collector to write them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.queries import SeriesQuery
    from hpcobs.domain.samples import (
        GpuPoint,
        HostReading,
        QueuedSample,
        RejectedSample,
        Sample,
        SampleLimits,
        SamplePoint,
        Stored,
    )


class SampleRepository(Protocol):
    """Series of samples, read by job."""

    def limits(self) -> SampleLimits:
        """Return the database's time, and the time before which samples are dropped."""

    def add(self, sample: Sample) -> bool:
        """Store one sample and update its job's statistics. Return False if it is a duplicate.

        Raise InvalidInputError if the samples of its day are dropped.
        """

    def series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[SamplePoint], int]:
        """Return the job's points oldest first, at most ``limit``, and their total.

        The total is at most 100,001, which stands for "more".
        """

    def gpu_series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[GpuPoint], int]:
        """Return the points of each of the job's GPUs, as ``series`` does."""


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """The rows of one transaction of the collector.

    ``replayed`` are the ids of rejected samples that the samples were. They are deleted.
    """

    samples: list[QueuedSample]
    hosts: list[HostReading]
    rejected: list[RejectedSample]
    replayed: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.samples) + len(self.hosts) + len(self.rejected)

    def halves(self) -> tuple[WriteBatch, WriteBatch]:
        """Return two batches with half of the rows each."""
        middle = len(self) // 2
        return self._part(0, middle), self._part(middle, len(self))

    def _part(self, first: int, after: int) -> WriteBatch:
        samples = len(self.samples)
        both = samples + len(self.hosts)
        return WriteBatch(
            self.samples[first:after],
            self.hosts[max(0, first - samples) : max(0, after - samples)],
            self.rejected[max(0, first - both) : max(0, after - both)],
        )


class SampleWriter(Protocol):
    """The collector's way into the database."""

    def limits(self) -> SampleLimits:
        """Return the database's time, and the time before which samples are dropped."""

    def store(self, batch: WriteBatch) -> Stored:
        """Write a batch in one transaction. Each sample counts once in its job's statistics.

        Samples of unknown jobs wait until their job is known. Samples of dropped days are rejected.
        """

    def settle_waiting(self, *, reject_before: datetime) -> Stored:
        """Store waiting samples whose job is known by now.

        Reject the others that have waited since before ``reject_before``. One transaction handles a
        bounded number of samples: call it until it returns zeros only.
        """

    def finish_run(self, *, finished_at: datetime, lag_seconds: float) -> None:
        """Fold the counters. Store when the run finished, and its lag."""
