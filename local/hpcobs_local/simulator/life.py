"""The simulated site from day to day: hooks when jobs start and end, samples, and syncs."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs.scheduler.mock.readings import Meters
from hpcobs_local.simulator import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hpcobs.scheduler.mock.cluster import MockCluster
    from hpcobs.scheduler.mock.readings import NodeReading
    from hpcobs_local.simulator.messages import Message

SAMPLE_EVERY = timedelta(seconds=5)
SYNC_EVERY = timedelta(seconds=10)
HISTORY_STEP = timedelta(seconds=30)
HISTORY_SYNC_EVERY = timedelta(minutes=3)
BATCH_READINGS = 40
"""So many readings of a node go into one batch of the past."""


class Site:
    """Turns the cluster's life into messages, in the order in which a real site sends them."""

    def __init__(
        self, cluster: MockCluster, put: Callable[[Message], None], *, name: str, start: datetime
    ) -> None:
        self._cluster = cluster
        self._meters = Meters(cluster)
        self._put = put
        self._name = name
        self._next_sample = start
        self._next_sync = start

    def live_on(self, now: datetime) -> None:
        """Post what has happened up to ``now``, and what is due."""
        for event in self._cluster.advance(now):
            self._put(messages.of_hook(event))
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_EVERY
            for reading in self._meters.read(now):
                self._put(messages.batch([reading], cluster_name=self._name))
        if now >= self._next_sync:
            self._next_sync = now + SYNC_EVERY
            self.sync(now)

    def sync(self, now: datetime) -> None:
        """Post the controller's view."""
        view = messages.syncs(
            self._cluster.list_jobs(),
            self._cluster.list_nodes(),
            observed_at=now,
            cluster_name=self._name,
        )
        for message in view:
            self._put(message)

    def live_through(self, start: datetime, end: datetime) -> Iterable[datetime]:
        """Post a past from ``start`` to ``end`` in larger batches; tells how far it is."""
        kept: dict[str, list[NodeReading]] = defaultdict(list)
        now = start
        while now < end:
            now = min(now + HISTORY_STEP, end)
            for event in self._cluster.advance(now):
                self._put(messages.of_hook(event))
            for reading in self._meters.read(now):
                kept[reading.host.node].append(reading)
            if now >= self._next_sync:
                self._next_sync = now + HISTORY_SYNC_EVERY
                self.sync(now)
            self._post_past(kept, enough=1 if now >= end else BATCH_READINGS)
            yield now

    def _post_past(self, kept: dict[str, list[NodeReading]], *, enough: int) -> None:
        for node in [node for node, readings in kept.items() if len(readings) >= enough]:
            self._put(messages.batch(kept.pop(node), cluster_name=self._name))
