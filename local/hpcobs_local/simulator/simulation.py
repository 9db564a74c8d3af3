"""The simulated site from its first moment: what was before, a past if asked for, and then life."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from hpcobs.scheduler.mock.cluster import MockCluster
from hpcobs_local.simulator.earlier import FIRST_JOB_ID, leftovers, next_job_id
from hpcobs_local.simulator.life import Site
from hpcobs_local.simulator.messages import syncs

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs_local.simulator.courier import Courier

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
RETRY_SECONDS = 1.0
HISTORY_SPEED = 3.0
"""Lives of the past are nearer to real ones than those that one watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to simulate; see ``hpcobs up --help``."""

    url: str
    nodes: int
    jobs: int
    seed: int
    speed: float
    history_hours: float


class Simulation:
    """Lives until ``wait``, which is given the seconds to wait, says that it is over."""

    def __init__(
        self, plan: Plan, courier: Courier, *, cluster_name: str, wait: Callable[[float], bool]
    ) -> None:
        self._plan = plan
        self._courier = courier
        self._name = cluster_name
        self._wait = wait

    def run(self) -> None:
        """Live."""
        first_id = self._end_earlier_life()
        while first_id is None:
            if self._wait(RETRY_SECONDS):
                return
            first_id = self._end_earlier_life()
        hours = self._plan.history_hours if first_id == FIRST_JOB_ID else 0.0
        logger.info("%d nodes, from job %d on", self._plan.nodes, first_id)
        start = datetime.now(UTC) - timedelta(hours=hours)
        cluster = self._cluster(first_id, start)
        site = Site(cluster, self._courier.put, name=self._name, start=start)
        if hours:
            self._live_through_history(site, cluster, start)
        while not self._wait(TICK_SECONDS):
            site.live_on(datetime.now(UTC))
            self._courier.deliver()

    def _end_earlier_life(self) -> int | None:
        """End the jobs that an earlier life left; the first id of this one.

        None if the service does not answer.
        """
        try:
            gone = leftovers(self._courier, self._name)
            first_id = next_job_id(self._courier)
        except httpx.HTTPError as error:
            logger.warning("the service does not answer yet: %s", error)
            return None
        if gone:
            logger.info("%d jobs of an earlier life are ended", len(gone))
            now = datetime.now(UTC)
            for message in syncs(gone, (), observed_at=now, cluster_name=self._name):
                self._courier.put(message)
        return first_id

    def _cluster(self, first_id: int, start: datetime) -> MockCluster:
        # Another life after a restart, but the same one for the same seed and first job.
        return MockCluster(
            seed=self._plan.seed + first_id,
            nodes=self._plan.nodes,
            jobs=self._plan.jobs,
            start=start,
            speed=self._plan.speed,
            first_job_id=first_id,
            name=self._name,
        )

    def _live_through_history(self, site: Site, cluster: MockCluster, start: datetime) -> None:
        cluster.speed = HISTORY_SPEED
        for _ in site.live_through(start, datetime.now(UTC)):
            self._courier.deliver()
            while self._courier.waiting:
                if self._wait(RETRY_SECONDS):
                    return
                self._courier.deliver()
        cluster.speed = self._plan.speed
