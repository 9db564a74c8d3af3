"""Books on a job's samples, kept by a test: what is stored, of which job, and what counts.

They follow the documented rule and not the product's SQL. A boundary divides samples by their time.
Once a day of samples is dropped, its samples are known by five minutes only, and each such interval
is on the side of its last moment.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.retention.rolling import EPOCH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from hpcobs.domain.samples import Sample

FIVE_MINUTES = timedelta(minutes=5)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Entry:
    """A stored sample: its job, and whether the job's statistics count it."""

    sample: Sample
    job: int
    counts: bool


@dataclass(slots=True)
class Books:
    """The stored samples of all submissions of a job id, and where each one's run begins."""

    entries: list[Entry] = field(default_factory=list)
    since: dict[int, datetime | None] = field(default_factory=dict)
    sealed_before: datetime = LONG_AGO

    def add(self, job: int, samples: Iterable[Sample]) -> None:
        since = self.since[job] or LONG_AGO
        self.entries += [Entry(one, job, counts=one.timestamp >= since) for one in samples]

    def is_from(self, moment: datetime, boundary: datetime) -> bool:
        """Return whether a sample of a moment is on the later side of a boundary."""
        if moment >= self.sealed_before:
            return moment >= boundary
        return interval(moment) + FIVE_MINUTES > boundary

    def begin(self, job: int, since: datetime | None, *, same_run: bool = True) -> None:
        """Move the beginning of a job's run, or begin another run."""
        before, self.since[job] = self.since[job], since
        if same_run and before == since:
            return
        unknown = before is not None and since is not None
        if same_run and unknown and self._is_within_interval(before, since):
            return
        self.count(job)

    def _is_within_interval(self, before: datetime | None, since: datetime | None) -> bool:
        assert before is not None
        assert since is not None
        sealed = max(before, since) < self.sealed_before
        return sealed and interval(before) == interval(since)

    def count(self, job: int) -> None:
        since = self.since[job] or LONG_AGO
        for entry in self.of(job):
            entry.counts = self.is_from(entry.sample.timestamp, since)

    def discard(
        self,
        job: int,
        kept: Collection[str],
        *,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> None:
        """Remove what other nodes sent since a time, and all from before a time."""

        def is_wrong(entry: Entry) -> bool:
            moment = entry.sample.timestamp
            foreign = entry.sample.node not in kept and self.is_from(moment, since or LONG_AGO)
            early = before is not None and not self.is_from(moment, before)
            return entry.job == job and (foreign or early)

        self.entries = [entry for entry in self.entries if not is_wrong(entry)]

    def move(self, job: int, to: int, since: datetime) -> None:
        self.since[to] = None
        moved = [one for one in self.of(job) if self.is_from(one.sample.timestamp, since)]
        for entry in moved:
            entry.job = to
        if moved:
            self.count(job)
            self.count(to)

    def of(self, job: int) -> list[Entry]:
        return [entry for entry in self.entries if entry.job == job]

    def statistics(self, job: int) -> dict[str, Any]:
        """Compute a job's statistics from what counts. All nodes have the same weight."""
        counted = [entry.sample for entry in self.of(job) if entry.counts]
        gpu = [one.gpu_usage for one in counted if one.gpu_usage is not None]
        highest: dict[str, int] = {}
        for one in counted:
            highest[one.node] = max(highest.get(one.node, 0), one.memory_usage_mb)
        return {
            "sample_count": len(counted),
            "avg_cpu_usage": mean([one.cpu_usage for one in counted]),
            "max_cpu_usage": max((one.cpu_usage for one in counted), default=None),
            "max_memory_usage_mb": sum(highest.values()) if counted else None,
            "avg_gpu_usage": mean(gpu),
            "max_gpu_usage": max(gpu, default=None),
        }

    def latest(self, job: int) -> datetime | None:
        return max((one.sample.timestamp for one in self.of(job) if one.counts), default=None)

    def sealed_sums(self, job: int) -> tuple[int, float, int, float]:
        """Return count and sum of the CPU, and of the GPUs' use, of the days that are dropped."""
        rolled = [one.sample for one in self.of(job) if one.sample.timestamp < self.sealed_before]
        gpu = [one.gpu_usage for one in rolled if one.gpu_usage is not None]
        return len(rolled), sum(one.cpu_usage for one in rolled), len(gpu), sum(gpu)


def interval(moment: datetime) -> datetime:
    return moment - (moment - EPOCH) % FIVE_MINUTES


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
