"""Slurm's notations of values, and what is computed from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from hpcobs.scheduler.slurm.values import exit_of, number, resources, time
from tests.forwarder.slurm_json import RECORDED
from tests.unit.scheduler.served import read

if TYPE_CHECKING:
    pass


def test_suspensions_are_computed_from_slurms_times() -> None:
    start = {"start_time": 1000, "pre_sus_time": 300}
    first, later = ({**start, "suspend_time": time_} for time_ in (1300, 1900))
    expected: list[tuple[str, dict[str, Any], int, int | None]] = [
        ("RUNNING", {**start, "suspend_time": 0}, 0, None),
        ("SUSPENDED", first, 0, 1300),
        ("RUNNING", later, 600, None),
        ("SUSPENDED", {**later, "pre_sus_time": 500}, 400, 1900),
        ("COMPLETED", later, 600, None),
        ("SUSPENDED+STOPPED", first, 0, 1300),
        ("PENDING", later, 0, None),
        ("RUNNING", {**later, "pre_sus_time": "x"}, 0, None),
        ("RUNNING", {**later, "suspend_time": 900}, 0, None),
    ]
    for state, times, seconds, since in expected:
        (job,) = read({**RECORDED[0], "job_state": state, **times})
        began = since and datetime.fromtimestamp(since, UTC)
        assert (job.suspended_seconds, job.suspended_since) == (seconds, began), (state, times)


@pytest.mark.parametrize("nodes", ["", None, "None assigned", "(null)"])
def test_job_cancelled_while_waiting_never_started(nodes: str | None) -> None:
    times = {"start_time": 1000, "end_time": 1000, "nodes": nodes}
    (job,) = read({**RECORDED[0], "job_state": "CANCELLED", **times})
    assert (job.start_time, job.end_time) == (None, datetime.fromtimestamp(1000, UTC))
    (ran,) = read({**RECORDED[0], "job_state": "CANCELLED", **times, "nodes": "n1"})
    assert ran.start_time == ran.end_time


def test_waiting_tasks_share_their_range() -> None:
    waiting = {
        **RECORDED[0],
        "job_state": "PENDING",
        "array_job_id": 9,
        "array_task_string": "0-9%2",
    }
    none = {"set": False, "infinite": False, "number": 0}
    assert [
        read({**waiting, "array_task_id": task_id})[0].array_task_id
        for task_id in (2**32 - 2, none, None, 4)
    ] == ["0-9%2", "0-9%2", "0-9%2", "4"]
    assert read({**waiting, "array_job_id": 0})[0].array_task_id is None


@pytest.mark.parametrize("reason", ["None", "", None, "(null)", 7])
def test_absent_reason_is_left_out(reason: Any) -> None:
    (job,) = read({**RECORDED[0], "state_reason": reason})
    assert job.state_reason in (None, "7")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (65534, 65534),
        (2**32 - 2, None),
        (2**64 - 1, None),
        (-1, None),
        ({"set": True, "number": 3}, 3),
        ({"set": True, "infinite": False, "number": 0}, 0),
        ({"set": True, "infinite": True, "number": 3}, None),
        ({"set": False, "number": 3}, None),
        ({"number": 3}, None),
        ({}, None),
        (3.0, 3),
        (float("inf"), None),
        (float("nan"), None),
        ("Infinity", None),
        ("3", None),
        (True, None),
        ([3], None),
        (2**63, None),
        (2**1100, None),
        ({"set": True, "number": "Infinity"}, None),
        ({"set": True, "number": float("inf")}, None),
        ({"set": True, "number": {"number": 3}}, None),
    ],
    ids=lambda value: repr(value)[:20] if isinstance(value, (str, dict, float)) else None,
)
def test_slurms_notations_of_no_number_are_known(value: Any, expected: int | None) -> None:
    assert number(value) == expected


def test_time_beyond_api_range_is_dropped() -> None:
    years = (datetime(2199, 12, 31, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
    last, beyond = (int(year.timestamp()) for year in years)
    assert time(last) == years[0]
    assert [time(value) for value in (0, beyond, 253402300800, 2**63)] == [None] * 4


def test_exit_code_is_parsed_in_every_wrapping() -> None:
    assert exit_of(3 << 8) == (3, 0)
    assert exit_of({"set": True, "number": 15}) == (0, 15)
    assert exit_of({"return_code": 9}) == (9, 0)
    assert exit_of({"return_code": {"set": True, "number": 9}, "signal": "x"}) == (9, 0)
    assert exit_of({"return_code": 2**40, "signal": {"signal_id": 2**40}}) == (None, None)
    assert exit_of("0:15") == (None, None)
    assert exit_of(None) == (None, None)


def test_resources_are_parsed_from_slurms_text() -> None:
    read = resources("cpu=4,mem=1.50G,gres/gpu:a100=1,gres/gpu:v100=2", "cpu=8,mem=512K,gres/gpu=3")
    assert (read.requested_cpus, read.requested_memory_mb, read.requested_gpus) == (4, 1536, 3)
    assert (read.allocated_cpus, read.allocated_memory_mb, read.allocated_gpus) == (8, 0, 3)
