"""A job's statistics are those of its stored samples, after any events in any order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from hpcobs.domain.jobs import Resources
from hpcobs.ports.clock import utc_now
from tests.builders import AUDIT, finished, scheduler_job, started
from tests.collector.batches import body

if TYPE_CHECKING:
    from tests.collector.conftest import Site

NODES = ("n1", "n2", "n3")
CPUS = (1, 2, 5)
STATES = ("PENDING", "RUNNING", "COMPLETED", "FAILED", "CANCELLED")

minutes = st.integers(0, 40)
nodes = st.sampled_from(NODES)
restarts = st.integers(0, 2)
ids = count(1)


class Life(RuleBasedStateMachine):
    """One job, for which any event may arrive at any time."""

    site: ClassVar[Site]

    def __init__(self) -> None:
        super().__init__()
        self.job = str(next(ids))
        self.beginning = utc_now().replace(microsecond=0) - timedelta(hours=1)
        self.sent: list[bytes] = []

    def at(self, minute: int) -> datetime:
        return self.beginning + timedelta(minutes=minute)

    @rule(minute=minutes, restart=restarts, cpus=st.sampled_from([(), CPUS]))
    def start(self, minute: int, restart: int, cpus: tuple[int, ...]) -> None:
        event = started(
            job_id=self.job,
            nodes=NODES,
            timestamp=self.at(minute),
            restart_count=restart,
            resources=Resources(cpus_per_node=cpus),
        )
        self.site.events.job_started(event, AUDIT)

    @rule(node=nodes, minute=minutes, cpu=st.integers(0, 100), gpus=st.integers(0, 2))
    def sample(self, node: str, minute: int, cpu: int, gpus: int) -> None:
        entry: dict[str, Any] = {
            "job_id": self.job,
            "timestamp": self.at(minute).isoformat(),
            "cpu_usage": cpu,
            "memory_usage_mb": cpu * 7 + minute,
        }
        if gpus:
            devices = [{"gpu_id": str(number), "gpu_vendor": "amd"} for number in range(gpus)]
            entry |= {"gpu_usage": 100 - cpu, "gpus": devices}
        self.sent.append(body(node, [entry]))
        self.site.post(self.sent[-1])

    @rule(chosen=st.integers(0))
    def again(self, chosen: int) -> None:
        if self.sent:
            self.site.post(self.sent[chosen % len(self.sent)])

    @rule(minute=minutes, restart=st.none() | restarts, node=st.none() | nodes)
    def finish(self, minute: int, restart: int | None, node: str | None) -> None:
        event = finished(
            job_id=self.job,
            user="ada",
            nodes=NODES,
            node=node,
            timestamp=self.at(minute),
            restart_count=restart,
        )
        self.site.events.job_finished(event, AUDIT)

    @rule(minute=minutes, restart=restarts, state=st.sampled_from(STATES))
    def correct(self, minute: int, restart: int, state: str) -> None:
        reported = scheduler_job(
            state,
            0,
            job_id=self.job,
            nodes=NODES,
            start_time=self.at(minute),
            restart_count=restart,
            observed_at=self.at(minute + 1),
        )
        self.site.events.sync([reported], [], AUDIT)

    @rule()
    def collect(self) -> None:
        self.site.collect()

    def teardown(self) -> None:
        self.site.collect()
        if self.site.query("SELECT FROM jobs WHERE id = %s", self.job):
            found = self.site.statistics(self.job)
            assert found == pytest.approx(recomputed(self.site, self.job))


def test_statistics_match_stored_samples_in_any_order(site: Site) -> None:
    few = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(type("LifeHere", (Life,), {"site": site}), settings=few)


def recomputed(site: Site, job_id: str) -> dict[str, Any]:
    """Compute the job's statistics from its stored samples only."""
    ((since,),) = site.query("SELECT statistics_since FROM jobs WHERE id = %s", job_id)
    rows = site.query(
        'SELECT node, "timestamp", cpu_usage, memory_usage_mb, gpu_usage FROM metric_samples'
        ' WHERE job_id = %s ORDER BY "timestamp"',
        job_id,
    )
    of_run = [row for row in rows if row[1] >= (since or datetime.min.replace(tzinfo=UTC))]
    latest = {row[0]: row for row in of_run}
    highest = {node: max(row[3] for row in of_run if row[0] == node) for node in latest}
    cpus, gpus = weights(site, job_id)
    return {
        "sample_count": len(of_run),
        "avg_cpu_usage": mean([(row[2], cpus.get(row[0], 1)) for row in of_run]),
        "max_cpu_usage": max((row[2] for row in of_run), default=None),
        "max_memory_usage_mb": sum(highest.values()) if of_run else None,
        "avg_gpu_usage": mean([(row[4], gpus.get(row[0], 1)) for row in of_run]),
        "max_gpu_usage": max((row[4] for row in of_run if row[4] is not None), default=None),
        "cpu_usage": mean([(row[2], cpus.get(row[0], 1)) for row in latest.values()]),
        "memory_usage_mb": sum(row[3] for row in latest.values()) if latest else None,
    }


def weights(site: Site, job_id: str) -> tuple[dict[str, int], dict[str, int]]:
    """Return the known CPUs and GPUs of each node."""
    ((per_node,),) = site.query("SELECT cpus_per_node FROM jobs WHERE id = %s", job_id)
    cpus = dict(zip(NODES, per_node, strict=True)) if per_node else {}
    gpus = "SELECT node, count(*) FROM job_gpus WHERE job_id = %s GROUP BY node"
    return cpus, dict(site.query(gpus, job_id))


def mean(weighed: list[tuple[float | None, int]]) -> float | None:
    """Return the weighted mean of the values that are not None."""
    known = [(value, weight) for value, weight in weighed if value is not None]
    if not known:
        return None
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known)
