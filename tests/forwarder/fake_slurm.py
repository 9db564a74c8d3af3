"""Stand-ins for slurmctld and its accounting database, and a controller role over them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hpcobs_forwarder.controller.backfill import Backfill
from hpcobs_forwarder.controller.records import Faults
from hpcobs_forwarder.controller.source import NoHistoryError, SourceError
from hpcobs_forwarder.controller.states import is_open
from hpcobs_forwarder.controller.sync import ControllerWork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.clocks import FakeClock


def job(job_id: int, state: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    return {"job_id": str(job_id), "user": "ada", "state": state, **fields}


class FakeSlurm:
    """slurmctld with the jobs ``now``, and accounting with the ``past`` ones."""

    name = "fake"

    def __init__(self) -> None:
        self.cluster_name: str | None = None
        self.faults = Faults()
        self.now: list[dict[str, Any]] = []
        self.known_nodes: list[dict[str, Any]] = []
        self.past: list[dict[str, Any]] = []
        self.down = False
        self.no_accounting = False
        self.accounting_down = False
        self.shows_ends = True
        self.queried_times: list[tuple[float, float]] = []
        self.queried_ids: list[str] = []

    def jobs(self, ids: Sequence[str] | None = None) -> list[dict[str, Any]]:
        if ids is not None:
            self._check_accounting()
            self.queried_ids += ids
            return [one for one in self.past if one["job_id"] in ids]
        if self.down:
            raise SourceError("slurmctld is down")
        return [dict(one) for one in self.now]

    def nodes(self) -> list[dict[str, Any]]:
        return [dict(one) for one in self.known_nodes]

    def ended(self, since: float, until: float) -> list[dict[str, Any]]:
        assert until >= since
        self._check_accounting()
        self.queried_times.append((since, until))
        return [one for one in self.past if not is_open(one["state"])] if self.shows_ends else []

    def _check_accounting(self) -> None:
        if self.accounting_down:
            raise SourceError("slurmdbd is down")
        if self.no_accounting:
            raise NoHistoryError("Slurm accounting storage is disabled")


class Controller:
    """A controller role over a ``FakeSlurm``. A reachable site drains the spool."""

    def __init__(self, spool: Spool, health: Health, clock: FakeClock) -> None:
        self.slurm = FakeSlurm()
        self.spool, self.health, self.clock = spool, health, clock
        self.configured_cluster: str | None = "lab"
        self.site_is_reachable = True
        self.restart()

    def restart(self) -> None:
        self.work = ControllerWork(
            self.slurm,
            Backfill(self.slurm, f"{self.spool.folder}/synchronised.json", self.spool.fallback),
            spool=self.spool,
            cluster_name=self.configured_cluster,
            fallback_cluster_name="from slurm.conf",
            health=self.health,
            clock=self.clock,
        )

    def tick(self) -> list[dict[str, Any]]:
        """Make one pass. Return the bodies that it spooled."""
        before = {entry.name for entry in self.spool.waiting_events()}
        self.work.tick()
        self.clock.advance(30)
        new = [entry for entry in self.spool.waiting_events() if entry.name not in before]
        bodies = [json.loads(entry.read()) for entry in new]
        if self.site_is_reachable:
            for entry in new:
                self.spool.remove(entry)
        return bodies

    def sent_states(self) -> dict[str, str]:
        """Make one pass. Return the states that it sent, by job."""
        return {one["job_id"]: one["state"] for body in self.tick() for one in body.get("jobs", ())}

    def lost(self, passes: int) -> list[dict[str, Any]]:
        """Make some passes. Return the ends that they sent for lost jobs."""
        return [body for _ in range(passes) for body in self.tick() if "final_state" in body]
