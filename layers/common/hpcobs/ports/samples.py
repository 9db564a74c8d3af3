"""Samples, as the services need them kept."""

from __future__ import annotations

from dataclasses import dataclass
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
        SamplePoint,
        Stored,
    )


class SampleRepository(Protocol):
    """Series of samples, read by job."""

    def add(self, sample: Sample) -> bool:
        """Store one sample of a known job and update its statistics; False if it was there."""

    def series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[SamplePoint], int]:
        """The job's points oldest first, at most ``limit``, and how many there are in all.

        The number counts to 100,001 at the most, which stands for "more".
        """

    def gpu_series(self, job_id: str, query: SeriesQuery) -> tuple[Sequence[GpuPoint], int]:
        """As ``series``, for each of the job's GPUs."""


@dataclass(frozen=True, slots=True)
class WriteBatch:
    """Everything taken from the queue in one go, on its way into the database."""

    samples: list[QueuedSample]
    hosts: list[HostReading]
    rejected: list[RejectedSample]

    def __len__(self) -> int:
        """How many things are in it."""
        return len(self.samples) + len(self.hosts) + len(self.rejected)

    def halves(self) -> tuple[WriteBatch, WriteBatch]:
        """Two drains that hold half of it each."""
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
    """Where the collector writes to."""

    def store(self, drain: WriteBatch) -> Stored:
        """Write a drain in one transaction: each sample once, statistics from what is really new.

        Samples of unknown jobs wait for their start.
        """

    def settle_waiting(self, *, give_up_before: datetime) -> Stored:
        """Store samples whose job has become known; set aside those that wait since before.

        As many as are worth a transaction: there may be more until nothing became of any.
        """

    def finish_run(self, *, finished_at: datetime, lag_seconds: float) -> None:
        """Fold what was counted, and tell when the collector ran and how far behind it was."""
