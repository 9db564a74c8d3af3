"""Which messages a site sends in which phase, in a random order, with repeats and disorder."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.books.messages import (
    FAULTS,
    Batch,
    Entry,
    Event,
    bad,
    controller_prolog,
    epilog,
    good,
    prolog,
    view,
)
from tests.books.plan import COMING, FRESH, OLD, RECENT, TOO_OLD, Plan

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from tests.books.books import Books
    from tests.books.plan import Job, Sample

TRUER_START = timedelta(seconds=3)


@dataclass
class Schedule:
    """Makes the messages of each phase, and enters them into the books."""

    plan: Plan
    books: Books
    phases: int
    samples_each: int = 6
    _batch_ids: list[str] = field(default_factory=list)
    _new_samples: list[tuple[Job, Sample]] = field(default_factory=list)

    @property
    def chance(self) -> random.Random:
        """Return the source of all randomness."""
        return self.plan.chance

    def messages(self) -> list[Event | Batch]:
        """Return the messages of the current phase in the order of sending."""
        phase = self.books.phase
        events = [event for job in self.plan.jobs for event in self._events(job, phase)]
        repeated = [event for event in events if self.chance.random() < 1 / 4]
        entries = [*self._samples(phase), *self._variants(), *self._bad(phase)]
        batches = list(self._batches(entries))
        self._new_samples = [(job, one) for job, one, _ in entries]
        again = [batch for batch in self.books.batches if self.chance.random() < 1 / 2]
        self.books.batches += batches
        again += [batch for batch in batches if self.chance.random() < 1 / 4]
        messages: list[Event | Batch] = [*events, *repeated, *batches, *again]
        self.chance.shuffle(messages)
        return messages

    def _events(self, job: Job, phase: int) -> Iterator[Event]:
        is_last = phase == self.phases - 1
        if not job.reported:
            return
        if job.submitted is not None:
            if phase == (0 if job.is_earlier else self.phases - 1):
                yield from self._reported(job, [view(job, self.plan.now)])
        elif phase == (self.phases - 1 if job.starts_late else 0):
            yield from self._reported(job, list(self._hooks(job)))
        if is_last and job.start_is_corrected:
            start = job.runs[-1].start - TRUER_START
            yield controller_prolog(job, job.runs[-1], start)
            yield view(job, self.plan.now, start=start)
            for node in job.nodes[1:]:
                yield prolog(job, job.runs[-1], node, late=-TRUER_START / 2)

    def _reported(self, job: Job, events: Sequence[Event]) -> Sequence[Event]:
        self.books.started.setdefault(job.public_id, self.books.phase)
        if job.runs[-1].end:
            self.books.ended.setdefault(job.public_id, self.books.phase)
        return events

    def _hooks(self, job: Job) -> Iterator[Event]:
        for run in job.runs:
            is_last = run is job.runs[-1]
            for node in job.nodes[: 1 if is_last and job.start_is_corrected else None]:
                late = timedelta(seconds=self.chance.uniform(0, 2) if run.number == 0 else 0)
                yield prolog(job, run, node, late=late)
            if run.end:
                for node in job.nodes:
                    yield epilog(job, run, node)

    def _samples(self, phase: int) -> list[tuple[Job, Sample, Entry]]:
        found = []
        for job in self.plan.jobs:
            # Nobody knows yet that the first submission's id was used again.
            if job.submitted and not job.is_earlier and phase == 0:
                continue
            found += [(job, one) for one in self.plan.samples(job, self.samples_each)]
            if self.chance.random() < 1 / 2:
                ages = self.chance.choice((TOO_OLD, COMING))
                found.append((job, self.plan.sample(job, self.plan.ago(ages))))
            # Without a later submission of its id, nothing that a node sends now is of this job.
            if phase and job.runs[-1].end and not job.submitted:
                found.append((job, self.plan.sample(job, self.plan.ago(FRESH))))
        return [(job, one, good(one)) for job, one in found]

    def _variants(self) -> list[tuple[Job, Sample, Entry]]:
        """Return other samples of the last phase's jobs, nodes and times: the first one counts."""
        found = []
        for job, known in self._new_samples:
            if self.chance.random() < 1 / 4 and self._is_stored(job, known):
                other = self.plan.sample(job, known.at, known.node)
                if len(job.nodes) == 1:
                    other = other._replace(devices=other.devices[:1])
                found.append((job, other, good(other)))
        return found

    def _is_stored(self, job: Job, sample: Sample) -> bool:
        """Return whether a sample is surely stored: a rejected one has no key that it shares."""
        end = job.runs[-1].end
        is_recent = self.plan.now - RECENT[1] <= sample.at <= self.plan.now
        return job.reported and is_recent and (end is None or sample.at <= end)

    def _bad(self, phase: int) -> list[tuple[Job, Sample, Entry]]:
        jobs = [job for job in self.plan.jobs if phase or not job.submitted or job.is_earlier]
        found = []
        for fault in self.chance.sample(sorted(FAULTS), 6):
            job = self.chance.choice(jobs)
            one = self.plan.sample(job, self.plan.ago(self.chance.choice((FRESH, OLD))))
            found.append((job, one, bad(one, fault)))
        return found

    def _batches(self, entries: list[tuple[Job, Sample, Entry]]) -> Iterator[Batch]:
        self.chance.shuffle(entries)
        waiting: dict[tuple[str, str], list[Entry]] = {}
        for job, one, entry in entries:
            own = waiting.setdefault((job.cluster, one.node), [])
            own.append(entry)
            if len(own) >= self.chance.choice((1, 3, 5, 8)):
                yield self._batch(job.cluster, one.node, own.copy())
                own.clear()
        for (cluster, node), left in waiting.items():
            if left:
                yield self._batch(cluster, node, left)

    def _batch(self, cluster: str, node: str, entries: list[Entry]) -> Batch:
        # Some senders repeat an id, and two nodes may choose the same.
        if self._batch_ids and self.chance.random() < 1 / 3:
            batch_id = self.chance.choice(self._batch_ids)
        else:
            batch_id = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
            self._batch_ids.append(batch_id)
        return Batch(cluster, node, batch_id, entries)
