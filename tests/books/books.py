"""The books: every message that was sent, and what it implies. Plain arithmetic, no code of ours.

The schedule has phases. Everything that was sent in a phase is settled before the next one begins.
So the retention and the sealed days of its phase decide about a sample, whatever its order.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.books.messages import Batch, Entry
    from tests.books.plan import Job, Sample

    Key = tuple[str, str, datetime]

AFTER_END = timedelta(minutes=10)
AHEAD = timedelta(minutes=10)


class Named(NamedTuple):
    """Where a rejected sample has to be found: its node, batch, position and serial number."""

    node: str
    batch_id: str
    position: int
    serial: int


@dataclass(frozen=True)
class Phase:
    """A time in which nothing changes that decides about samples."""

    began: datetime
    retention_days: int
    sealed_before: datetime

    def rejects(self, at: datetime) -> bool:
        """Return whether a sample of that time is rejected, because no series would show it."""
        oldest = max(self.began - timedelta(days=self.retention_days), self.sealed_before)
        return not oldest <= at <= self.began + AHEAD


@dataclass
class Truth:
    """What the service has to hold in the end."""

    stored: dict[Key, list[Sample]] = field(default_factory=dict)
    """By key, the samples of which one is stored: mostly there is one."""
    rejected: dict[Named, str] = field(default_factory=dict)
    """The samples that are named as rejected, and what they were."""
    may_be_rejected: set[Named] = field(default_factory=set)
    """Repeats of samples that were stored before their day was sealed."""
    good_deliveries: int = 0
    uncertain_deliveries: int = 0


@dataclass
class Books:
    """Everything that was sent, in order."""

    jobs: list[Job]
    phases: list[Phase] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    started: dict[str, int] = field(default_factory=dict)
    """The phase in which a job was first reported, by public id."""
    ended: dict[str, int] = field(default_factory=dict)
    """The phase in which the last end of a job was reported, by public id."""

    @property
    def phase(self) -> int:
        """Return the number of the current phase."""
        return len(self.phases) - 1

    def truth(self) -> Truth:
        """Return what all the messages imply."""
        truth = Truth()
        found: dict[Key, tuple[int, list[Sample]]] = {}
        for phase, batch, position, entry in self._deliveries():
            named = Named(batch.node, batch.id, position, entry.serial)
            if entry.sample is None:
                truth.rejected[named] = f"rejected, bad: {entry.json}"
                continue
            key = self._key(entry.sample)
            settled = self._settled(entry.sample, phase)
            known = found.get(key)
            if settled is None:
                if known and known[0] < phase:
                    truth.may_be_rejected.add(named)
                    truth.uncertain_deliveries += 1
                else:
                    truth.rejected[named] = f"rejected in phase {phase}: {entry.sample}"
                continue
            truth.good_deliveries += 1
            if known is None:
                found[key] = (settled, [entry.sample])
            elif known[0] == settled and entry.sample not in known[1]:
                known[1].append(entry.sample)
        truth.stored = {key: samples for key, (_, samples) in found.items()}
        return truth

    def job_of(self, sample: Sample) -> Job:
        """Return the submission that a sample counts for."""
        jobs = [
            job
            for job in self.jobs
            if (job.cluster, job.id) == (sample.cluster, sample.job_id)
            and (not job.is_earlier or (job.runs[-1].end or sample.at) + AFTER_END >= sample.at)
        ]
        return jobs[0]

    def _key(self, sample: Sample) -> Key:
        return (self.job_of(sample).public_id, sample.node, sample.at)

    def _deliveries(self) -> Iterator[tuple[int, Batch, int, Entry]]:
        sent = [(phase, batch) for batch in self.batches for phase in batch.deliveries]
        for phase, batch in sorted(sent, key=lambda pair: pair[0]):
            for position, entry in enumerate(batch.entries):
                yield phase, batch, position, entry

    def _settled(self, sample: Sample, phase: int) -> int | None:
        """Return the phase in which a sample is stored, or None if it is rejected."""
        if self.phases[phase].rejects(sample.at):
            return None
        job = self.job_of(sample)
        began = self.started.get(job.public_id)
        if began is None:
            return None
        settled = max(began, phase)
        # It waited for its job, and its day was sealed meanwhile.
        if settled > phase and sample.at < self.phases[settled].sealed_before:
            return None
        end = job.runs[-1].end
        is_after_end = end is not None and sample.at > end + AFTER_END
        return None if is_after_end and self.ended[job.public_id] < phase else settled


@dataclass
class Sums:
    """Sums over some samples of one job on one node."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Return the sum of CPU use."""
        return sum(sample.cpu for sample in self.samples)

    @property
    def cpu_max(self) -> float:
        """Return the highest CPU use."""
        return max(sample.cpu for sample in self.samples)

    @property
    def memory(self) -> int:
        """Return the sum of memory use."""
        return sum(sample.memory_mb for sample in self.samples)

    @property
    def memory_max(self) -> int:
        """Return the highest memory use."""
        return max(sample.memory_mb for sample in self.samples)

    @property
    def gpu(self) -> list[float]:
        """Return the GPU use of the samples that have one."""
        return [sample.gpu for sample in self.samples if sample.gpu is not None]


def by_interval(samples: dict[Key, Sample], seconds: int) -> dict[tuple[str, str, datetime], Sums]:
    """Return the samples by job, node and interval of so many seconds."""
    found: dict[tuple[str, str, datetime], Sums] = defaultdict(Sums)
    for (job_id, node, at), sample in samples.items():
        since = int(at.timestamp()) // seconds * seconds
        found[job_id, node, datetime.fromtimestamp(since, at.tzinfo)].samples.append(sample)
    return dict(found)


def statistics(job: Job, samples: dict[Key, Sample]) -> dict[str, float | int | None]:
    """Return the statistics of a job: of its last run, all nodes alike."""
    since = job.counts_since
    by_node: dict[str, Sums] = defaultdict(Sums)
    for (job_id, node, at), sample in samples.items():
        if job_id == job.public_id and (since is None or at >= since):
            by_node[node].samples.append(sample)
    nodes = list(by_node.values())
    count = sum(len(node.samples) for node in nodes)
    gpu = [value for node in nodes for value in node.gpu]
    return {
        "sample_count": count,
        "avg_cpu_usage": sum(node.cpu for node in nodes) / count if count else None,
        "max_cpu_usage": max((node.cpu_max for node in nodes), default=None),
        "max_memory_usage_mb": sum(node.memory_max for node in nodes) if nodes else None,
        "avg_gpu_usage": sum(gpu) / len(gpu) if gpu else None,
        "max_gpu_usage": max(gpu, default=None),
    }
