"""The controller role sends the jobs and nodes that changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpcobs_forwarder.controller.sync import JOBS_AT_ONCE
from tests.forwarder.fake_slurm import job

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health
    from hpcobs_forwarder.spool.spool import Spool
    from tests.forwarder.fake_slurm import Controller


def test_first_pass_sends_everything_in_contract_fields(controller: Controller) -> None:
    controller.slurm.now = [job(1)]
    controller.slurm.known_nodes = [{"node": "n1", "state": "idle"}]

    assert controller.tick() == [
        {
            "observed_at": "2027-01-15T08:00:00.000Z",
            "cluster_name": "lab",
            "jobs": [job(1)],
            "nodes": [{"node": "n1", "state": "idle"}],
        }
    ]


def test_later_passes_send_only_changes(controller: Controller) -> None:
    slurm = controller.slurm
    slurm.now = [job(1), job(2)]
    slurm.known_nodes = [{"node": "n1", "state": "idle"}]
    controller.tick()
    assert controller.tick() == []

    slurm.now = [job(1), job(2, "CANCELLED", exit_code=0, signal=15)]
    assert controller.sent_states() == {"2": "CANCELLED"}

    slurm.known_nodes = [{"node": "n1", "state": "down"}]
    (body,) = controller.tick()
    assert (body["jobs"], body["nodes"]) == ([], slurm.known_nodes)


def test_unchanged_running_job_is_resent_periodically(controller: Controller) -> None:
    slurm = controller.slurm
    slurm.now = [job(1), job(2, "PENDING")]
    controller.tick()
    for _ in range(10):
        assert controller.sent_states() == {}
    slurm.now.append(job(3))
    assert [controller.sent_states() for _ in range(29)] == [
        {"3": "RUNNING"}, *[{}] * 8, {"1": "RUNNING"}, *[{}] * 10, {"3": "RUNNING"}, *[{}] * 8,
    ]  # fmt: skip


def test_pending_jobs_growing_priority_is_no_change(controller: Controller) -> None:
    controller.slurm.now = [job(1, "PENDING", priority=1)]
    controller.tick()
    controller.slurm.now = [job(1, "PENDING", priority=2)]

    assert controller.tick() == []


def test_all_nodes_are_resent_periodically(controller: Controller) -> None:
    loads = []
    for number in range(21):
        controller.slurm.known_nodes = [{"node": "n1", "state": "idle", "cpu_load": float(number)}]
        loads += [body["nodes"][0]["cpu_load"] for body in controller.tick()]

    assert loads == [0, 10, 20]


def test_unreachable_site_spools_only_changes(controller: Controller) -> None:
    slurm = controller.slurm
    controller.site_is_reachable = False
    slurm.now = [job(1)]
    slurm.known_nodes = [{"node": "n1", "state": "idle"}]
    for number in range(2, 9):
        slurm.now.append(job(number))
        controller.tick()

    assert [body for _ in range(50) for body in controller.tick()] == []
    slurm.now[0] = job(1, "COMPLETED")
    assert controller.sent_states() == {"1": "COMPLETED"}


def test_spooled_changes_are_compressed(controller: Controller, spool: Spool) -> None:
    controller.site_is_reachable = False
    controller.slurm.now = [job(number, name="a name like others") for number in range(400)]

    (body,) = controller.tick()

    (entry,) = spool.waiting_events()
    assert entry.size < len(json.dumps(body)) / 5


def test_many_jobs_are_sent_in_parts(controller: Controller) -> None:
    controller.slurm.now = [job(number) for number in range(2 * JOBS_AT_ONCE + 1)]

    assert [len(body["jobs"]) for body in controller.tick()] == [JOBS_AT_ONCE, JOBS_AT_ONCE, 1]


def test_silent_slurmctld_ends_no_job(controller: Controller, health: Health) -> None:
    controller.slurm.now = [job(1)]
    controller.tick()
    controller.slurm.down = True

    assert controller.tick() == []
    assert controller.slurm.queried_ids == []
    assert health.value("reader_errors_total", "fake") == 1


@pytest.mark.parametrize(
    ("configured", "slurms", "expected"),
    [("lab", "other", "lab"), (None, "other", "other"), (None, None, "from slurm.conf")],
)
def test_sync_and_hooks_send_same_cluster_name(
    controller: Controller, configured: str | None, slurms: str | None, expected: str
) -> None:
    controller.configured_cluster, controller.slurm.cluster_name = configured, slurms
    controller.restart()
    controller.slurm.now = [job(1)]

    assert [body["cluster_name"] for body in controller.tick()] == [expected]


def test_changes_not_spooled_are_retried_next_pass(controller: Controller, spool: Spool) -> None:
    controller.slurm.now = [job(1)]
    events = Path(spool.events)
    events.rename(spool.folder + "/away")
    controller.work.tick()
    Path(spool.folder + "/away").rename(events)

    assert controller.sent_states() == {"1": "RUNNING"}
