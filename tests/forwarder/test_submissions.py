"""Requeues, suspensions and used ids in slurmctld's and the accounting database's records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hpcobs_forwarder.controller import history
from hpcobs_forwarder.controller.commands import Commands
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.sacct import Sacct
from hpcobs_forwarder.controller.source import SourceError
from hpcobs_forwarder.controller.submissions import last_run_of, last_runs
from tests.forwarder.fake_slurm import job
from tests.forwarder.slurm_json import FIXTURES, SACCT, boxed, recorded

if TYPE_CHECKING:
    from tests.forwarder.fake_slurm import Controller

RELEASES = ("22.05", "24.11")
FIRST, SECOND, THIRD = (f"2027-01-15T08:0{minute}:00.000Z" for minute in (0, 5, 7))


class Recorded:
    """The output of a real ``sacct --duplicates``: a failure, a held, a suspended, a requeue."""

    def __init__(self, release: str) -> None:
        self.release = release

    def __call__(self, command: list[str]) -> bytes:
        end = "json" if "--json" in command else "txt"
        return (FIXTURES / f"sacct-{self.release}-duplicates.{end}").read_bytes()


@pytest.fixture(params=RELEASES)
def rows(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return Sacct(Recorded(request.param)).ended(0, 1)


def test_requeued_run_is_no_end(rows: list[dict[str, Any]]) -> None:
    first, second = (row for row in rows if row["job_id"] == "6")

    assert (first["submit_time"] < second["submit_time"], second["state"]) == (True, "CANCELLED")
    assert second in last_runs(rows)
    assert first not in last_runs(rows)
    assert last_run_of(("6", first["submit_time"]), rows) == second


def test_each_submission_keeps_its_exit_code(rows: list[dict[str, Any]]) -> None:
    codes = {row["job_id"]: row["exit_code"] for row in rows if "exit_code" in row}

    assert codes == {"1": 3, "2": 0, "3": 0, "6": 0}


def test_held_job_that_was_cancelled_never_started(rows: list[dict[str, Any]]) -> None:
    (held,) = (row for row in rows if row["job_id"] == "2")

    assert held["state"] == "CANCELLED"
    assert "end_time" in held
    assert "start_time" not in held


def test_accounting_leaves_suspension_out(rows: list[dict[str, Any]]) -> None:
    (suspended,) = (row for row in rows if row["job_id"] == "3")

    assert suspended["suspended_seconds"] == 5


def test_scontrol_of_newer_slurm_is_read() -> None:
    source = Commands(lambda _: (FIXTURES / "scontrol-24.11-jobs.json").read_bytes())
    jobs = {one["job_id"]: one for one in source.jobs()}

    assert jobs["3"]["suspended_seconds"] == 3
    assert jobs["3"]["suspended_since"] == "2026-11-28T06:02:47.000Z"
    assert jobs["4"]["name"] == "r\ufffdsultat"
    assert (jobs["5"]["array_job_id"], jobs["5"]["array_task_id"]) == ("5", "3-5%1")
    assert source.faults.count == 0


def test_scontrol_without_slurmctld_is_error() -> None:
    down = (FIXTURES / "scontrol-24.11-down.json").read_bytes()

    with pytest.raises(SourceError, match="last_update"):
        Commands(lambda _: down).jobs()


# A job that started at 1000. It was suspended at 1004 for 4 s, and again at 1013 for 10 s.
@pytest.mark.parametrize(
    ("state", "changed", "ran", "expected"),
    [
        ("RUNNING", 0, 0, {}),
        ("SUSPENDED", 1004, 4, {"seconds": 0, "since": 1004}),
        ("RUNNING", 1008, 4, {"seconds": 4}),
        ("SUSPENDED", 1013, 9, {"seconds": 4, "since": 1013}),
        ("RUNNING", 1023, 9, {"seconds": 14}),
        ("COMPLETED", 1023, 9, {"seconds": 14}),
        ("CANCELLED", 1013, 9, {"seconds": 4}),
        ("RUNNING", 999, 0, {}),
        ("RUNNING", 1004, 400, {"seconds": 0}),
        ("RUNNING", "Infinity", 4, {}),
        ("RUNNING", 1008, None, {}),
        ("PENDING", 1008, 4, {}),
    ],
)
@pytest.mark.parametrize("box", [boxed, lambda value: value])
def test_suspensions_follow_from_slurms_times(
    state: str, changed: Any, ran: Any, expected: dict[str, int], box: Any
) -> None:
    times = {"start_time": 1000, "end_time": 1050, "suspend_time": changed, "pre_sus_time": ran}
    boxes = {name: box(value) if isinstance(value, int) else value for name, value in times.items()}
    found = job_of({**recorded(1), "job_state": state, **boxes})

    assert found is not None
    assert found.get("suspended_seconds") == expected.get("seconds")
    since = expected.get("since")
    assert found.get("suspended_since") == (
        since and f"1970-01-01T00:{since // 60}:{since % 60:02}.000Z"
    )


@pytest.mark.parametrize("job_id", [8, 20, 21])
def test_job_cancelled_while_waiting_never_started(job_id: int) -> None:
    found = job_of(recorded(job_id))

    assert found is not None
    assert "start_time" not in found
    assert "end_time" in found


def test_run_of_no_length_has_start() -> None:
    found = job_of(recorded(4))

    assert found is not None
    assert found["start_time"] == found["end_time"]


@pytest.mark.parametrize("reason", ["None", "(null)", "N/A", "", None])
def test_reason_none_is_left_out(reason: str | None) -> None:
    shown = job_of({**recorded(1), "state_reason": reason})
    stored = history.job_of({**SACCT, "state": {"current": ["PENDING"], "reason": reason}})

    assert shown is not None
    assert stored is not None
    assert "state_reason" not in {**shown, **stored}


def test_waiting_array_carries_its_range() -> None:
    waiting = {"array_job_id": 9, "array_task_id": None, "array_task_string": "0-9%2"}
    shown = job_of({**recorded(1), "job_state": "PENDING", **waiting})
    part = {"job_id": 9, "task_id": boxed(None), "task": "0-9%2"}
    stored = history.job_of({**SACCT, "array": part})

    for found in (shown, stored):
        assert found is not None
        assert (found["array_job_id"], found["array_task_id"]) == ("9", "0-9%2")


def test_reused_id_is_new_job(controller: Controller) -> None:
    controller.slurm.now = [job(1, submit_time=FIRST, restart_count=0)]
    controller.tick()
    controller.slurm.now = [job(1, submit_time=SECOND, restart_count=0)]
    controller.slurm.past = [
        job(1, "NODE_FAIL", submit_time=FIRST, name="old", end_time=FIRST),
        job(1, submit_time=SECOND),
    ]

    (body,) = controller.tick()
    assert [(one["state"], one["submit_time"]) for one in body["jobs"]] == [
        ("NODE_FAIL", FIRST), ("RUNNING", SECOND),
    ]  # fmt: skip


def test_requeued_job_is_not_missing(controller: Controller) -> None:
    slurm = controller.slurm
    slurm.now = [job(1, submit_time=FIRST, restart_count=0)]
    controller.tick()
    slurm.now = [job(1, "PENDING", submit_time=FIRST, restart_count=1)]
    controller.tick()
    slurm.now = [job(1, "PENDING", submit_time=SECOND, restart_count=1)]
    slurm.past = [job(1, "NODE_FAIL", submit_time=FIRST, end_time=SECOND)]

    assert controller.sent_states() == {"1": "PENDING"}
    assert slurm.queried_ids == ["1"], "to see whether the database has the present run"
    assert controller.lost(50) == []


def test_lost_job_of_reused_id_ends_nobody(controller: Controller) -> None:
    controller.slurm.no_accounting = True
    controller.slurm.now = [job(1, submit_time=FIRST, restart_count=0)]
    controller.tick()
    controller.slurm.now = [job(1, submit_time=SECOND, restart_count=0)]

    assert controller.lost(30) == []
    assert controller.health.value("jobs_lost_total") == 1


@pytest.mark.parametrize("restarts", [{}, {"restart_count": 1}])
def test_later_run_gives_its_end(controller: Controller, restarts: dict[str, int]) -> None:
    controller.slurm.now = [job(1, submit_time=FIRST, restart_count=0)]
    controller.tick()
    controller.slurm.now = []
    controller.slurm.past = [
        job(1, "REQUEUED", submit_time=FIRST),
        job(1, "NODE_FAIL", submit_time=SECOND, end_time=THIRD),
        job(1, "FAILED", submit_time=THIRD, **restarts),
    ]

    (body,) = controller.tick()
    (found,) = body["jobs"]
    assert (found["state"], found["submit_time"], found["restart_count"]) == ("FAILED", THIRD, 1)
