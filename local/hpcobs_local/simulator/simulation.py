"""The simulation from start to stop: end earlier jobs, post history on request, then run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from hpcobs_local.simulator.cluster.mock_cluster import MockCluster
from hpcobs_local.simulator.messages import syncs
from hpcobs_local.simulator.recovery import FIRST_JOB_ID, leftovers, next_job_id
from hpcobs_local.simulator.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs_local.simulator.client import Client

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
RETRY_SECONDS = 1.0
HISTORY_SPEED = 3.0
"""Speed of the simulated history. It is slower than the present, and so nearer to real jobs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate. See ``hpcobs up --help``."""

    url: str
    nodes: int
    jobs: int
    seed: int
    speed: float
    history_hours: float


class Simulation:
    """Runs until ``wait``, which waits so many seconds, returns True."""

    def __init__(
        self, plan: Plan, client: Client, *, cluster_name: str, wait: Callable[[float], bool]
    ) -> None:
        self._plan = plan
        self._client = client
        self._name = cluster_name
        self._wait = wait

    def run(self) -> None:
        """Simulate until stopped."""
        first_id = self._end_earlier_jobs()
        while first_id is None:
            if self._wait(RETRY_SECONDS):
                return
            first_id = self._end_earlier_jobs()
        # History only at the first start: it would overlap jobs that the service already has.
        hours = self._plan.history_hours if first_id == FIRST_JOB_ID else 0.0
        logger.info("simulating %d nodes, first job id %d", self._plan.nodes, first_id)
        start = datetime.now(UTC) - timedelta(hours=hours)
        cluster = self._cluster(first_id, start)
        site = Site(cluster, self._client.put, name=self._name, start=start)
        if hours:
            self._replay_history(site, cluster, start)
        while not self._wait(TICK_SECONDS):
            site.advance(datetime.now(UTC))
            self._client.send_waiting()

    def _end_earlier_jobs(self) -> int | None:
        """End the jobs of an earlier run. Return the first job id of this one.

        Return None if the service does not respond.
        """
        try:
            ended = leftovers(self._client, self._name)
            first_id = next_job_id(self._client)
        except httpx.HTTPError as error:
            logger.warning("the service does not respond yet: %s", error)
            return None
        if ended:
            logger.info("ended %d jobs of an earlier simulation", len(ended))
            now = datetime.now(UTC)
            for message in syncs(ended, (), observed_at=now, cluster_name=self._name):
                self._client.put(message)
        return first_id

    def _cluster(self, first_id: int, start: datetime) -> MockCluster:
        # New jobs after a restart, but the same ones for the same seed and first job id.
        return MockCluster(
            seed=self._plan.seed + first_id,
            nodes=self._plan.nodes,
            jobs=self._plan.jobs,
            start=start,
            speed=self._plan.speed,
            first_job_id=first_id,
            name=self._name,
        )

    def _replay_history(self, site: Site, cluster: MockCluster, start: datetime) -> None:
        cluster.speed = HISTORY_SPEED
        for _ in site.replay_history(start, datetime.now(UTC)):
            self._client.send_waiting()
            # Not faster than the service stores it: the outbox drops messages when it is full.
            while self._client.waiting:
                if self._wait(RETRY_SECONDS):
                    return
                self._client.send_waiting()
        cluster.speed = self._plan.speed
