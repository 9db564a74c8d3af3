"""The simulated site: it posts hook events, samples and the controller's view."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs_local.simulator import messages
from hpcobs_local.simulator.cluster.readings import Meters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hpcobs_local.simulator.cluster.mock_cluster import MockCluster
    from hpcobs_local.simulator.cluster.readings import NodeReading
    from hpcobs_local.simulator.messages import Message

SAMPLE_EVERY = timedelta(seconds=5)
SYNC_EVERY = timedelta(seconds=10)
HISTORY_STEP = timedelta(seconds=30)
HISTORY_SYNC_EVERY = timedelta(minutes=3)
BATCH_READINGS = 40
"""Readings of a node in one batch of simulated history."""


class Site:
    """Turns the cluster's events and readings into messages, in the order of a real site."""

    def __init__(
        self, cluster: MockCluster, put: Callable[[Message], None], *, name: str, start: datetime
    ) -> None:
        self._cluster = cluster
        self._meters = Meters(cluster.machines)
        self._put = put
        self._name = name
        self._next_sample = start
        self._next_sync = start

    def advance(self, now: datetime) -> None:
        """Post the events up to ``now``, and the samples and the view that are due."""
        for event in self._cluster.advance(now):
            self._put(messages.hook_event(event))
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_EVERY
            for reading in self._meters.read(self._cluster.running(), now):
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

    def replay_history(self, start: datetime, end: datetime) -> Iterable[datetime]:
        """Post the time from ``start`` to ``end`` in larger batches. Yield after each step."""
        pending: dict[str, list[NodeReading]] = defaultdict(list)
        now = start
        while now < end:
            now = min(now + HISTORY_STEP, end)
            for event in self._cluster.advance(now):
                self._put(messages.hook_event(event))
            for reading in self._meters.read(self._cluster.running(), now):
                pending[reading.host.node].append(reading)
            if now >= self._next_sync:
                self._next_sync = now + HISTORY_SYNC_EVERY
                self.sync(now)
            self._post_batches(pending, enough=1 if now >= end else BATCH_READINGS)
            yield now

    def _post_batches(self, pending: dict[str, list[NodeReading]], *, enough: int) -> None:
        for node in [node for node, readings in pending.items() if len(readings) >= enough]:
            self._put(messages.batch(pending.pop(node), cluster_name=self._name))
