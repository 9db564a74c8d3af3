"""Tests of SchedulerSync: changes are stored, failures affect nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hpcobs import bootstrap
from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.domain.nodes import NodeReport
from hpcobs.service import scheduler_sync
from hpcobs.service.job_events import JobEvents
from hpcobs.service.scheduler_sync import SchedulerSync
from tests.builders import ORIGIN, at, scheduler_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.samples import Sample
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query


class Controller:
    """A controller whose jobs a test sets."""

    def __init__(self, *jobs: SchedulerJob) -> None:
        self.jobs = list(jobs)
        self.down = False
        self.nodes = [NodeReport(node="n1", state="idle", cluster_name="lab")]

    def list_jobs(self) -> Sequence[SchedulerJob]:
        if self.down:
            raise UnavailableError("slurmrestd does not respond")
        return self.jobs

    def get_job(self, job_id: str) -> SchedulerJob:
        raise JobNotFoundError(job_id)

    def get_job_metrics(self, job_id: str) -> Sequence[Sample]:
        raise JobNotFoundError(job_id)

    def list_nodes(self) -> Sequence[NodeReport]:
        return self.nodes


def run_pass(syncing: SchedulerSync, seconds: float = 60.0) -> int:
    return syncing.run(lambda: seconds, reserve_seconds=10.0)


def test_jobs_and_nodes_follow_the_controller(store: PostgresStore, query: Query) -> None:
    controller = Controller(
        scheduler_job("RUNNING", 10), scheduler_job("PENDING", 10, job_id="2", nodes=())
    )
    syncing = SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm")
    assert run_pass(syncing) == 2
    controller.jobs[0] = scheduler_job("CANCELLED", 20, exit_code=0, signal=15)

    assert run_pass(syncing) == 1

    assert query("SELECT id, state FROM jobs ORDER BY id") == [("1", "cancelled"), ("2", "pending")]
    assert query("SELECT DISTINCT changed_by, source FROM job_audit_events") == [
        ("collector", "slurm")
    ]
    assert query("SELECT state FROM nodes WHERE name = 'n1'") == [("idle",)]


def test_unchanged_jobs_are_not_resent(store: PostgresStore) -> None:
    controller = Controller(
        scheduler_job("PENDING", 10, nodes=(), priority=1), scheduler_job("RUNNING", 10, job_id="2")
    )
    syncing = SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm")
    run_pass(syncing)
    controller.jobs = [replace(job, priority=9) for job in controller.jobs[:1]] + [
        scheduler_job("RUNNING", 40, job_id="2")
    ]

    assert run_pass(syncing) == 0


def test_running_job_is_resent_every_ten_minutes(store: PostgresStore, query: Query) -> None:
    controller = Controller(
        scheduler_job("RUNNING", 10), scheduler_job("PENDING", 10, job_id="2", nodes=())
    )
    syncing = SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm")
    run_pass(syncing)
    controller.jobs = [
        scheduler_job("RUNNING", 610),
        scheduler_job("PENDING", 610, job_id="2", nodes=()),
    ]

    assert run_pass(syncing) == 1
    assert query("SELECT scheduler_seen_at FROM jobs WHERE id = '1'") == [(at(610),)]


def test_failed_job_is_sent_again(store: PostgresStore) -> None:
    controller = Controller(
        scheduler_job("RUNNING", 10, user="a\0b"), scheduler_job("RUNNING", 10, job_id="2")
    )
    syncing = SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm")
    run_pass(syncing)
    controller.jobs[0] = scheduler_job("RUNNING", 10)

    assert run_pass(syncing) == 1
    assert run_pass(syncing) == 0


def test_silent_controller_ends_no_job(store: PostgresStore, query: Query) -> None:
    controller = Controller(scheduler_job("RUNNING", 10))
    syncing = SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm")
    run_pass(syncing)
    controller.down = True

    assert run_pass(syncing) == 0
    assert query("SELECT state FROM jobs") == [("running",)]


@pytest.mark.parametrize("state", ["allocated", "mixed", "mixed+drain", "allocated*", "mixed-"])
def test_empty_list_of_busy_nodes_failed(store: PostgresStore, query: Query, state: str) -> None:
    controller = Controller(scheduler_job("RUNNING", 10))
    syncing = SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm")
    run_pass(syncing)
    jobs, controller.jobs = controller.jobs, []
    controller.nodes = [replace(controller.nodes[0], state=state)]

    assert run_pass(syncing) == 0
    assert query("SELECT state FROM nodes WHERE name = 'n1'") == [("idle",)]
    controller.jobs = jobs
    assert run_pass(syncing) == 0, "what was sent before is still known"
    assert query("SELECT state FROM nodes WHERE name = 'n1'") == [(state,)]


@pytest.mark.parametrize("state", ["idle", "down", "idle+drain", "planned", "unknown"])
def test_idle_cluster_has_no_jobs(store: PostgresStore, query: Query, state: str) -> None:
    controller = Controller()
    controller.nodes = [replace(controller.nodes[0], state=state)]
    run_pass(SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm"))

    assert query("SELECT state FROM nodes WHERE name = 'n1'") == [(state,)]


def test_remaining_jobs_are_left_for_next_pass(
    store: PostgresStore, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler_sync, "JOBS_PER_CHECK", 2)
    controller = Controller(
        *(scheduler_job("RUNNING", 10, job_id=str(number)) for number in range(1, 6))
    )
    syncing = SchedulerSync(controller, JobEvents(store, ORIGIN), scheduler="slurm")
    left = iter([60.0, 5.0])

    assert syncing.run(lambda: next(left), reserve_seconds=10.0) == 2
    assert run_pass(syncing) == 3
    assert query("SELECT count(*) FROM jobs") == [(5,)]


def test_collector_syncs_if_url_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.reset()
    assert bootstrap.scheduler_sync() is None
    bootstrap.reset()
    monkeypatch.setenv("SLURM_BASE_URL", "http://127.0.0.1:6820")
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/none")
    monkeypatch.setenv("DB_MAX_CONNS", "1")
    assert isinstance(bootstrap.scheduler_sync(), SchedulerSync)
    bootstrap.reset()
