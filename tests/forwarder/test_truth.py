"""Whatever Slurm answers, and whenever: no open job ends, and each end is reported in the end."""

from __future__ import annotations

import calendar
import json
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.controller.backfill import Backfill
from hpcobs_forwarder.controller.commands import Commands
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.states import is_open
from hpcobs_forwarder.controller.sync import ControllerWork
from hpcobs_forwarder.daemon.health import Health
from hpcobs_forwarder.spool.spool import Spool
from tests.forwarder.clocks import FakeClock
from tests.forwarder.properties import patient
from tests.forwarder.true_cluster import (
    CONTROLLER_FAILURES,
    ENDS,
    SACCT_FAILURES,
    TrueCluster,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = st.integers(0, 9)
CHANGES = st.one_of(
    st.just(("submit",)),
    st.tuples(st.just("start"), PLACES),
    st.tuples(st.just("suspend"), PLACES),
    st.tuples(st.just("end"), PLACES, st.sampled_from(ENDS)),
    st.tuples(st.just("requeue"), PLACES, st.sampled_from(("REQUEUED", "NODE_FAIL"))),
)


@dataclass(frozen=True)
class Interval:
    """What happens between two passes, and how the next pass is answered."""

    changes: list[tuple[Any, ...]]
    seconds: int
    controller_failure: str | None
    sacct_failure: str | None
    restarts: bool
    passes: int


INTERVALS = st.builds(
    Interval,
    changes=st.lists(CHANGES, max_size=6),
    seconds=st.sampled_from([1, 15, 30, 200, 5000]),
    controller_failure=st.none() | st.sampled_from(CONTROLLER_FAILURES),
    sacct_failure=st.none() | st.sampled_from(SACCT_FAILURES),
    restarts=st.booleans(),
    passes=st.sampled_from([1, 1, 1, 5, 25]),
)


class Site:
    """The controller role over a ``TrueCluster``, and what it reported."""

    def __init__(self, folder: str) -> None:
        self.clock = FakeClock()
        self.cluster = TrueCluster(self.clock)
        self.health = Health()
        self.spool = Spool(folder, sync=False, health=self.health)
        self.spool.open()
        self.ends: dict[tuple[str, int], dict[str, Any]] = {}
        self.start()

    def start(self) -> None:
        run = self.cluster.run
        self.work = ControllerWork(
            Commands(run),
            Backfill(Sacct(run), f"{self.spool.folder}/synchronised.json"),
            spool=self.spool,
            cluster_name="lab",
            fallback_cluster_name=None,
            health=self.health,
            clock=self.clock,
        )

    def look(self) -> None:
        """Make one pass, and check what it reports against the truth."""
        self.work.tick()
        for entry in self.spool.waiting_events():
            body = json.loads(entry.read())
            self.spool.remove(entry)
            for job in body.get("jobs", ()):
                self._check(job)
            if "final_state" in body:
                assert body["job_id"] not in self.cluster.open_ids()

    def _check(self, job: dict[str, Any]) -> None:
        key = job["job_id"], seconds(job["submit_time"])
        if is_open(job["state"]):
            return
        run = self.cluster.last_runs().get(key)
        assert run is not None, "the end of a run that a requeue ended"
        assert job["state"].removesuffix("+COMPLETING") == run.state
        assert seconds(job["end_time"]) == run.ended
        assert ("start_time" in job) is bool(run.started)
        self.ends[key] = job

    def check_all_ends(self) -> None:
        runs = self.cluster.last_runs().items()
        ended = {key: run.state for key, run in runs if not run.is_open}
        assert ended == {key: job["state"] for key, job in self.ends.items()}


def seconds(text: str) -> int:
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S.000Z"))


@patient
@given(st.lists(INTERVALS, max_size=12))
def test_reported_ends_are_true_and_complete(intervals: list[Interval]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        site.look()
        for interval in intervals:
            live(site, interval)
        recover(site)
        site.check_all_ends()
        site.spool.close()


@patient
@given(st.lists(INTERVALS, max_size=12))
def test_no_open_job_ends_without_accounting(intervals: list[Interval]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        site = Site(folder)
        site.cluster.has_accounting = False
        site.look()
        for interval in intervals:
            live(site, interval)
        recover(site)
        site.spool.close()


def live(site: Site, interval: Interval) -> None:
    for name, *arguments in interval.changes:
        change: Callable[..., None] = getattr(site.cluster, name)
        change(*arguments)
        site.clock.advance(3)
    site.cluster.controller_failure = interval.controller_failure
    site.cluster.sacct_failure = interval.sacct_failure
    if interval.restarts:
        site.start()
    for _ in range(interval.passes):
        site.clock.advance(interval.seconds)
        site.look()


def recover(site: Site) -> None:
    """Make passes without a failure until all that was missed is found."""
    site.cluster.controller_failure = site.cluster.sacct_failure = None
    for _ in range(45):
        site.clock.advance(30)
        site.look()
