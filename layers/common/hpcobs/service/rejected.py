"""Rejected samples: an operator lists them, and replays them once their cause is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpcobs.domain.errors import InvalidInputError
from hpcobs.domain.samples import SampleWindow, Stored
from hpcobs.ports.clock import utc_now
from hpcobs.ports.samples import WriteBatch
from hpcobs.service.write_batches import add_samples
from hpcobs.wire.batches import DecodedBatch
from hpcobs.wire.entries import decode_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs.domain.samples import RejectedSample
    from hpcobs.ports.clock import Clock
    from hpcobs.ports.rejected import Listed, RejectedFilter, RejectedSamples
    from hpcobs.ports.samples import SampleWriter
    from hpcobs.service.collection import CollectionRules

MOST_AT_ONCE = 5000
"""Samples in one transaction, and in a whole replay unless the caller sets a limit."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The result of a replay: the counts of its valid samples, and how many are still rejected."""

    # Both names are part of the collector function's response and log.
    taken: Stored
    kept: int


class Rejected:
    """The use cases of rejected samples."""

    def __init__(
        self,
        rejected: RejectedSamples,
        writer: SampleWriter,
        rules: CollectionRules,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._rejected = rejected
        self._writer = writer
        self._rules = rules
        self._clock = clock

    def page(self, wanted: RejectedFilter, *, limit: int) -> tuple[Sequence[Listed], int]:
        """Return the oldest samples that match, and how many match in all."""
        return self._rejected.page(wanted, limit=limit), self._rejected.count(wanted)

    def replay(self, wanted: RejectedFilter, *, limit: int = MOST_AT_ONCE) -> Replay:
        """Check samples again, oldest first, and store up to ``limit`` that are valid now."""
        done = Replay(Stored(), kept=0)
        # What this replay itself rejects again has later ids: it must not be replayed for ever. Not
        # by time: while a clock was ahead, samples were rejected in what is the future now.
        last_id = self._rejected.last_id()
        limits = self._writer.limits()
        kept_days = self._rules.retention_days
        window = SampleWindow.at(limits, kept_days=kept_days, now=self._clock())
        room = limit
        after = None
        while room > 0:
            at_once = min(room, MOST_AT_ONCE)
            listed = self._rejected.page(wanted, limit=at_once, after=after, last_id=last_id)
            if not listed:
                break
            batch = self._valid(listed, window)
            room -= len(batch.samples)
            kept = done.kept + len(listed) - len(batch.samples)
            done = Replay(done.taken + self._store(batch), kept)
            # Skip invalid samples: a page full of them must not hide the valid ones behind it.
            after = listed[-1].place
        return done

    def _store(self, batch: WriteBatch) -> Stored:
        return self._writer.store(batch) if batch.samples else Stored()

    def _valid(self, listed: Iterable[Listed], window: SampleWindow) -> WriteBatch:
        batch = WriteBatch(samples=[], hosts=[], rejected=[])
        for item in listed:
            try:
                decoded = _batch_of(item.sample)
            except InvalidInputError:
                continue
            add_samples(batch, decoded, window, self._rules.home_cluster)
            if len(batch.samples) > len(batch.replayed):
                batch.replayed.append(item.id)
        # Samples outside the window are stored as rejected already.
        batch.rejected.clear()
        return batch


def _batch_of(sample: RejectedSample) -> DecodedBatch:
    return DecodedBatch(
        node=sample.node,
        batch_id=sample.batch_id,
        cluster_name=sample.cluster_name,
        host=None,
        entries=[decode_entry(sample.payload)],
        positions=[sample.position],
    )
