"""Samples: a job's usage on one node at one time.

Named tuples in the column order of their tables, because millions of them go through COPY.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Sample(NamedTuple):
    """A job's usage on one node at ``timestamp``.

    ``cpu_usage`` and ``gpu_usage`` are percent of the allocation (0–100). ``*_total`` are counters
    since the job's start on that node. None means "not read", which is not zero.
    """

    job_id: str
    timestamp: datetime
    node: str
    cpu_usage: float
    memory_usage_mb: int
    gpu_usage: float | None = None
    memory_peak_mb: int | None = None
    oom_kills: int | None = None
    cpu_seconds_total: float | None = None
    cpu_throttled_seconds_total: float | None = None
    io_read_bytes_total: int | None = None
    io_write_bytes_total: int | None = None


class GpuSample(NamedTuple):
    """One GPU's reading for a job on a node at ``timestamp``.

    ``shared`` is true if other jobs use the GPU too. The reading is then that of all of them.
    """

    job_id: str
    timestamp: datetime
    node: str
    gpu_id: str
    gpu_vendor: str
    utilization_percent: float | None = None
    memory_used_mb: int | None = None
    memory_total_mb: int | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None
    shared: bool | None = None


class QueuedSample(NamedTuple):
    """A sample received from the queue: its fields, where it comes from, its GPUs.

    ``job_id`` is the id under which the job is stored, ``reported_id`` the one that the node of
    ``cluster_name`` sent (None: they are equal). A batch's id and a position in it are the
    sender's, and identify a sample only together with cluster, node and content.
    """

    job_id: str
    timestamp: datetime
    cpu_usage: float
    memory_usage_mb: int
    gpu_usage: float | None
    memory_peak_mb: int | None
    oom_kills: int | None
    cpu_seconds_total: float | None
    cpu_throttled_seconds_total: float | None
    io_read_bytes_total: int | None
    io_write_bytes_total: int | None
    node: str
    batch_id: str = ""
    position: int = 0
    cluster_name: str | None = None
    reported_id: str | None = None
    gpus: Sequence[GpuSample] = ()


class HostReading(NamedTuple):
    """A node's own readings, sent with a batch of samples."""

    node: str
    seen_at: datetime
    cluster_name: str | None = None
    cpus: int | None = None
    memory_total_mb: int | None = None
    memory_used_mb: int | None = None
    cpu_load: float | None = None
    gpus: int | None = None


class RejectedSample(NamedTuple):
    """A rejected sample, with the reason. ``payload`` is the sample as received (JSON).

    ``job_id`` is the id within ``cluster_name``. If that is None, it is the id under which the job
    is stored.
    """

    batch_id: str
    position: int
    node: str
    job_id: str | None
    reason: str
    payload: str
    cluster_name: str | None = None


CLOCK_SKEW = timedelta(minutes=10)
"""The time by which a node's clock may run ahead of the database's."""

SUBMISSION_SKEW = timedelta(minutes=1)
"""How much a node's clock may be behind the submission of the job that runs there."""

LATE_SAMPLE = timedelta(minutes=10)
"""How much a node's clock may be ahead of the end of its job, as in ``lock_jobs``."""

SEALED = "is from a day whose samples are dropped; if it was sent before, it is counted already"
"""The reason of a sample that came too late: its day has roll-ups only, which do not change."""


@dataclass(frozen=True, slots=True)
class SampleLimits:
    """The database's time, and the time before which days of samples are dropped, if any are."""

    now: datetime
    sealed_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class SampleWindow:
    """The times of samples that can be stored: from ``oldest`` to ``newest``.

    ``sealed_before`` is what was known when the window was made. The transaction that stores a
    sample decides.
    """

    oldest: datetime
    newest: datetime
    sealed_before: datetime | None = None

    @classmethod
    def at(cls, limits: SampleLimits, *, kept_days: int, now: datetime) -> SampleWindow:
        """Return the window of a site that keeps samples for ``kept_days``.

        ``now`` is the time of this host's clock, and ``limits`` have that of the database's.

        All hosts share the database's clock, so it decides what is from the future. A sample is too
        old only if it is so by both clocks: then no single wrong clock rejects good samples.
        """
        kept = timedelta(days=kept_days)
        oldest = min(now, limits.now) - kept
        sealed = limits.sealed_before
        return cls(max(oldest, sealed or oldest), limits.now + CLOCK_SKEW, sealed)

    def problem(self, timestamp: datetime) -> str | None:
        """Return why a sample of ``timestamp`` cannot be stored, or None if it can."""
        if timestamp > self.newest:
            return "is from the future"
        if self.sealed_before is not None and timestamp < self.sealed_before:
            return SEALED
        if timestamp < self.oldest:
            return "is older than samples are kept"
        return None


@dataclass(frozen=True, slots=True)
class Stored:
    """The numbers of stored, duplicate, waiting and rejected samples."""

    stored: int = 0
    duplicates: int = 0
    waiting: int = 0
    rejected: int = 0

    def __add__(self, other: Stored) -> Stored:
        """Return the sum of both, count by count."""
        return Stored(
            self.stored + other.stored,
            self.duplicates + other.duplicates,
            self.waiting + other.waiting,
            self.rejected + other.rejected,
        )


@dataclass(frozen=True, slots=True)
class SamplePoint:
    """One point of a job's series: a raw sample, or a bucket's averages and maxima."""

    timestamp: datetime
    node: str | None
    cpu_usage: float
    memory_usage_mb: float
    gpu_usage: float | None
    cpu_usage_max: float | None = None
    memory_usage_mb_max: float | None = None
    gpu_usage_max: float | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class GpuPoint:
    """One point of a GPU's series: a raw reading, or a bucket's averages and maxima."""

    timestamp: datetime
    node: str
    gpu_id: str
    gpu_vendor: str
    utilization_percent: float | None
    memory_used_mb: float | None
    memory_total_mb: float | None
    power_watts: float | None
    temperature_celsius: float | None
    shared: bool | None = None
    utilization_percent_max: float | None = None
    memory_used_mb_max: float | None = None
    count: int | None = None


def hour_of(moment: datetime) -> datetime:
    """Return the start of the hour (UTC) in which ``moment`` lies."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
