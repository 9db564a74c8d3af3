"""Jobs that slurmctld forgot before their end was read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.clock import rfc3339
from tests.forwarder.fake_slurm import job

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.fake_slurm import Controller


def test_missing_job_is_queried_in_accounting(controller: Controller) -> None:
    controller.slurm.now = [job(1), job(2, "PENDING")]
    controller.tick()
    controller.slurm.now = []
    assert controller.tick() == [], "the accounting database may be late"
    controller.slurm.past = [job(1, "NODE_FAIL"), job(2, "CANCELLED")]

    assert controller.sent_states() == {"1": "NODE_FAIL", "2": "CANCELLED"}
    controller.slurm.queried_ids.clear()
    controller.tick()
    assert controller.slurm.queried_ids == []


def test_unknown_job_is_queried_20_times(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []
    for _ in range(50):
        controller.tick()

    assert len(controller.slurm.queried_ids) == 20


def test_lost_job_ends_with_lowest_precedence(controller: Controller, health: Health) -> None:
    controller.slurm.now = [job(1, restart_count=2), job(2, "PENDING"), job(3)]
    controller.tick()
    seen_at = rfc3339(controller.clock.wall())
    controller.tick()
    controller.slurm.now = [job(3)]
    assert controller.lost(19) == [], "accounting and the job's hooks may be late"

    ended = {body.pop("job_id"): body for body in controller.lost(20)}

    common = {"timestamp": seen_at, "cluster_name": "lab", "source": "epilog"}
    assert ended == {
        "1": {"final_state": "failed", "restart_count": 2, **common},
        "2": {"final_state": "cancelled", **common},
    }
    assert health.value("jobs_lost_total") == 2


def test_lost_job_without_accounting_ends_in_minutes(controller: Controller) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []

    assert [body["job_id"] for body in controller.lost(4)] == ["1"]


def test_no_job_is_lost_while_accounting_is_down(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now, controller.slurm.accounting_down = [], True
    assert controller.lost(100) == []
    controller.slurm.accounting_down, controller.slurm.past = False, [job(1, "NODE_FAIL")]

    assert controller.sent_states() == {"1": "NODE_FAIL"}


@pytest.mark.parametrize("restart", [True, False])
def test_database_gets_time_after_its_outage(controller: Controller, restart: bool) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now, controller.slurm.accounting_down = [], True
    assert controller.lost(100) == []
    controller.slurm.accounting_down = False
    if restart:
        controller.restart()
    assert controller.lost(15) == [], "slurmctld first sends the ends of the outage to slurmdbd"
    controller.slurm.past = [job(1, "NODE_FAIL")]

    assert controller.sent_states() == {"1": "NODE_FAIL"}


def test_silent_database_is_awaited_for_day(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now, controller.slurm.accounting_down = [], True
    assert controller.lost(2879) == []

    assert [body["job_id"] for body in controller.lost(1)] == ["1"]


def test_restart_remembers_missing_jobs(controller: Controller) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1), job(2, "PENDING")]
    controller.tick()
    controller.slurm.now = []
    assert controller.lost(2) == []
    controller.restart()

    assert [body["job_id"] for body in controller.lost(2)] == ["1", "2"]
    controller.restart()
    assert controller.lost(10) == []


def test_job_that_comes_back_is_not_lost(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []
    controller.lost(10)
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.now = []

    assert controller.lost(15) == []


@pytest.mark.parametrize(
    "saved", ["", "{}", '{"observed": 1, "open": {"1": [1]}}', "[]", '{"observed": 1, "open": 3}']
)
def test_damaged_state_file_is_ignored(controller: Controller, spool: Spool, saved: str) -> None:
    Path(f"{spool.folder}/synchronised.json").write_text(saved)
    controller.slurm.now = [job(1)]
    controller.restart()

    assert controller.sent_states() == {"1": "RUNNING"}


def test_jobs_ended_during_downtime_are_backfilled(controller: Controller) -> None:
    slurm, clock = controller.slurm, controller.clock
    controller.tick()
    last = clock.now - 30
    clock.advance(7200)
    slurm.past = [job(1, "TIMEOUT"), job(2, "RUNNING"), job(3, "COMPLETED")]
    slurm.now = [job(3, "COMPLETED", name="newer")]
    controller.restart()

    (body,) = controller.tick()

    assert [one["job_id"] for one in body["jobs"]] == ["1", "3"]
    assert body["jobs"][1]["name"] == "newer"
    starts = [since for since, _ in slurm.queried_times]
    assert starts[0] == last - 86_400
    assert last - 3600 in starts, "an end may reach the database late"


def test_cluster_without_accounting_is_synchronised(controller: Controller, health: Health) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1)]

    assert controller.sent_states() == {"1": "RUNNING"}
    assert health.value("reader_errors_total", "sacct") == 1
