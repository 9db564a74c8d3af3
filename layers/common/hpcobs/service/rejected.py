"""Samples that were set aside: an operator lists them, and has them taken in after all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.samples import SampleWindow, Stored
from hpcobs.ports.clock import utc_now
from hpcobs.ports.samples import WriteBatch
from hpcobs.service.write_batches import add_samples
from hpcobs.wire.decoding import DecodedBatch, decode_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs.domain.samples import RejectedSample
    from hpcobs.ports.clock import Clock
    from hpcobs.ports.rejected import Listed, RejectedFilter, RejectedSamples
    from hpcobs.ports.samples import SampleWriter
    from hpcobs.service.collection import CollectionRules

MOST_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Replay:
    """What became of samples that were replayed: ``kept`` are still wrong, and stay aside."""

    taken: Stored
    kept: int


class Rejected:
    """The use cases of samples that were set aside."""

    def __init__(
        self,
        rejected: RejectedSamples,
        sink: SampleWriter,
        rules: CollectionRules,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._rejected = rejected
        self._sink = sink
        self._rules = rules
        self._clock = clock

    def page(self, wanted: RejectedFilter, *, limit: int) -> tuple[Sequence[Listed], int]:
        """The oldest that match, and how many there are in all."""
        return self._rejected.page(wanted, limit=limit), self._rejected.count(wanted)

    def replay(self, wanted: RejectedFilter, *, limit: int = MOST_AT_ONCE) -> Replay:
        """Judge samples once more, and take in up to ``limit`` that are good now.

        What is wrong still is passed over, so that it never hides what came later.
        """
        done = Replay(Stored(), kept=0)
        room = limit
        after = None
        while room > 0:
            at_once = min(room, MOST_AT_ONCE)
            listed = self._rejected.page(wanted, limit=at_once, after=after)
            if not listed:
                break
            drain = self._judged(one.sample for one in listed)
            room -= len(drain.samples)
            kept = done.kept + len(listed) - len(drain.samples)
            done = Replay(done.taken + self._take_in(drain), kept)
            after = listed[-1].place
        return done

    def _take_in(self, drain: WriteBatch) -> Stored:
        """Store, then forget: where that fails, they are duplicates the next time."""
        if not drain.samples:
            return Stored()
        taken = self._sink.store(drain)
        self._rejected.remove((sample.batch_id, sample.position) for sample in drain.samples)
        return taken

    def _judged(self, samples: Iterable[RejectedSample]) -> WriteBatch:
        window = SampleWindow.at(self._clock(), kept_days=self._rules.retention_days)
        drain = WriteBatch(samples=[], hosts=[], rejected=[])
        for sample in samples:
            try:
                batch = _batch_of(sample)
            except InvalidInputError:
                continue
            add_samples(drain, batch, window, self._rules.home_cluster)
        # What is out of time still is set aside already.
        drain.rejected.clear()
        return drain


def _batch_of(sample: RejectedSample) -> DecodedBatch:
    return DecodedBatch(
        node=sample.node,
        batch_id=sample.batch_id,
        cluster_name=sample.cluster_name,
        host=None,
        entries=[decode_entry(sample.payload)],
        positions=[sample.position],
    )
