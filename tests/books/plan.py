"""What really happens at a made-up site: its jobs, their runs and their samples, from a seed.

Nothing here is the service's code. Each sample has a serial number, which it carries as
``io_read_bytes_total``, so that a stored or rejected row shows which sample it is. Percentages are
multiples of 1/4: their sums are exact in any order.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random

HOME, OTHER = CLUSTERS = ("lab", "west")
NODES = ("n1", "n2", "n3")

FRESH = (timedelta(minutes=2), timedelta(minutes=55))
RECENT = (timedelta(hours=2), timedelta(hours=40))
OLD = (timedelta(days=3.2), timedelta(days=6.4))
TOO_OLD = (timedelta(days=8.5), timedelta(days=12))
COMING = (timedelta(minutes=-90), timedelta(minutes=-30))
"""Ages of samples. None is near a limit of 2 or 7 days, so that no test depends on its speed."""


class Device(NamedTuple):
    """One GPU's reading."""

    gpu_id: str
    utilization: float
    memory_mb: int
    watts: float


class Sample(NamedTuple):
    """One sample that a node took."""

    serial: int
    cluster: str
    job_id: str
    node: str
    at: datetime
    cpu: float
    memory_mb: int
    gpu: float | None = None
    devices: tuple[Device, ...] = ()

    @property
    def key(self) -> tuple[str, str, datetime]:
        """Return what makes it one sample: job, node and time."""
        return (known_as(self.cluster, self.job_id), self.node, self.at)


@dataclass(frozen=True)
class Run:
    """One run of a job. It has not ended if ``end`` is None."""

    number: int
    start: datetime
    end: datetime | None = None


@dataclass
class Job:
    """One submission. ``reported`` is False if no event ever names it."""

    cluster: str
    id: str
    nodes: tuple[str, ...]
    runs: list[Run]
    gpus: int = 0
    array: str | None = None
    reported: bool = True
    starts_late: bool = False
    start_is_corrected: bool = False
    submitted: datetime | None = None
    is_earlier: bool = False
    ages: list[tuple[timedelta, timedelta]] = field(default_factory=lambda: [FRESH])

    @property
    def user(self) -> str:
        """Return the name of its user."""
        return f"user{int(self.id) % 3}"

    @property
    def public_id(self) -> str:
        """Return the id under which the API shows it."""
        plain = known_as(self.cluster, self.id)
        if self.is_earlier and self.submitted is not None:
            return f"{plain}@{self.submitted:%Y%m%dT%H%M%SZ}"
        return plain

    @property
    def counts_since(self) -> datetime | None:
        """Return when the run began that its statistics are of, or None for all samples."""
        return self.runs[-1].start if self.runs[-1].number else None


def known_as(cluster: str, job_id: str) -> str:
    """Return a job's id at the site: another cluster's name stands before it."""
    return job_id if cluster == HOME else f"{cluster}.{job_id}"


class Plan:
    """The jobs of a site around ``now``, and new samples of them."""

    def __init__(self, chance: random.Random, now: datetime, *, jobs: int) -> None:
        self.chance = chance
        self.now = now
        self.jobs: list[Job] = []
        self._serials = itertools.count(1)
        self._times: set[datetime] = set()
        for number in range(1, jobs + 1):
            self._add(number)

    def ago(self, ages: tuple[timedelta, timedelta]) -> datetime:
        """Return a time of some age that no sample has yet, to the microsecond."""
        while True:
            moment = self.now - timedelta(
                seconds=round(self.chance.uniform(*(age.total_seconds() for age in ages)), 6)
            )
            if moment not in self._times:
                self._times.add(moment)
                return moment

    def sample(self, job: Job, at: datetime, node: str | None = None) -> Sample:
        """Return a new sample of a job, with values of its own."""
        chance = self.chance
        devices = tuple(
            Device(
                f"GPU-{job.id}-{number}",
                chance.randrange(401) / 4,
                chance.randrange(80_000),
                chance.randrange(1400) / 2,
            )
            for number in range(job.gpus)
        )
        return Sample(
            next(self._serials),
            job.cluster,
            job.id,
            node or chance.choice(job.nodes),
            at,
            chance.randrange(401) / 4,
            chance.randrange(64_000),
            chance.randrange(401) / 4 if devices else None,
            devices,
        )

    def samples(self, job: Job, count: int) -> list[Sample]:
        """Return new samples of a job while it ran."""
        return [
            self.sample(job, at)
            for at in (self.ago(self.chance.choice(job.ages)) for _ in range(count))
            if _while_it_ran(job, at)
        ]

    def _add(self, number: int) -> None:
        kind = (_plain, _old, _requeued, _old_requeued, _ended, _late, _unknown, _reused)[
            (number - 1) % 8
        ]
        nodes = tuple(self.chance.sample(NODES, self.chance.choice((1, 2, 2, 3))))
        cluster = HOME if number <= 8 else self.chance.choice(CLUSTERS)
        job = Job(cluster, str(number), nodes, [], gpus=self.chance.choice((0, 0, 2)))
        if self.chance.random() < 1 / 3:
            job.array = str(self.chance.randrange(9))
        self.jobs += kind(job, self)


def _while_it_ran(job: Job, at: datetime) -> bool:
    """Return whether a run had begun some seconds ago, and not ended."""
    margin = timedelta(minutes=1)
    return any(
        run.start + margin <= at and (run.end is None or at <= run.end - margin) for run in job.runs
    )


def _plain(job: Job, plan: Plan) -> list[Job]:
    job.runs = [Run(0, plan.now - timedelta(hours=1))]
    return [job]


def _old(job: Job, plan: Plan) -> list[Job]:
    """Make a job that runs for days, and whose other nodes' prologs are reported days later."""
    job.runs = [Run(0, plan.now - timedelta(days=6.6))]
    job.ages = [FRESH, RECENT, OLD, OLD]
    job.start_is_corrected = True
    return [job]


def _requeued(job: Job, plan: Plan) -> list[Job]:
    job.runs = [
        Run(0, plan.now - timedelta(hours=45), plan.now - timedelta(hours=1.9)),
        Run(1, plan.now - timedelta(hours=1)),
    ]
    job.ages = [FRESH, RECENT]
    return [job]


def _old_requeued(job: Job, plan: Plan) -> list[Job]:
    job.runs = [
        Run(0, plan.now - timedelta(days=6.5), plan.now - timedelta(days=5)),
        Run(1, plan.now - timedelta(days=4.9)),
    ]
    job.ages = [FRESH, RECENT, OLD, OLD]
    job.start_is_corrected = True
    return [job]


def _ended(job: Job, plan: Plan) -> list[Job]:
    job.runs = [Run(0, plan.now - timedelta(days=1.8), plan.now - timedelta(hours=1.5))]
    job.ages = [RECENT]
    return [job]


def _late(job: Job, plan: Plan) -> list[Job]:
    """Make a job whose samples come long before its start does."""
    job.runs = [Run(0, plan.now - timedelta(days=6.6))]
    job.ages = [FRESH, RECENT, OLD]
    job.starts_late = True
    return [job]


def _unknown(job: Job, plan: Plan) -> list[Job]:
    job.runs = [Run(0, plan.now - timedelta(days=6.6))]
    job.ages = [FRESH, RECENT]
    job.reported = False
    return [job]


def _reused(job: Job, plan: Plan) -> list[Job]:
    """Make two submissions with one id."""
    second = plan.now - timedelta(minutes=58)
    later = Job(
        job.cluster, job.id, job.nodes, [Run(0, second)], job.gpus, job.array, submitted=second
    )
    first = (plan.now - timedelta(days=1.9)).replace(microsecond=0)
    job.submitted = first - timedelta(seconds=30)
    job.runs = [Run(0, first, plan.now - timedelta(hours=1.7))]
    job.ages = [RECENT]
    job.is_earlier = True
    later.submitted = later.submitted and later.submitted.replace(microsecond=0)
    return [job, later]
