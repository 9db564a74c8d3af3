"""Slurm's JSON of several versions in the contract's fields."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hpcobs_forwarder.controller import history
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.controller.values import exit_of, number, resources, state, text, time
from tests.forwarder.properties import patient
from tests.forwarder.slurm_json import NODES, RECORDED, SACCT, as_newer, boxed, recorded

JOB_FIELDS = {
    "job_id", "user", "state", "node_list", "submit_time", "start_time", "end_time", "name",
    "partition", "account", "qos", "priority", "exit_code", "signal", "state_reason",
    "time_limit_minutes", "requested_cpus", "allocated_cpus", "requested_memory_mb",
    "allocated_memory_mb", "requested_gpus", "allocated_gpus", "array_job_id", "array_task_id",
    "restart_count", "extra", "suspended_seconds", "suspended_since",
}  # fmt: skip


def test_recorded_job_has_contract_fields() -> None:
    assert job_of(recorded(10)) == {
        "job_id": "10",
        "user": "www-data",
        "state": "FAILED",
        "node_list": "n[1-2]",
        "submit_time": job_of(recorded(10))["submit_time"],  # type: ignore[index]
        "start_time": "2026-11-23T09:03:33.000Z",
        "end_time": "2026-11-23T09:03:36.000Z",
        "name": "multi",
        "partition": "main",
        "priority": 4294901750,
        "exit_code": 5,
        "signal": 0,
        "state_reason": "NonZeroExitCode",
        "time_limit_minutes": 5,
        "requested_cpus": 2,
        "requested_memory_mb": 128,
        "allocated_cpus": 2,
        "allocated_memory_mb": 128,
        "restart_count": 0,
    }


@pytest.mark.parametrize(
    ("job_id", "expected"),
    [
        (1, ("COMPLETED", 0, 0)),
        (2, ("FAILED", 3, 0)),
        (3, ("TIMEOUT", 0, 15)),
        (4, ("FAILED", 0, 11)),
        (5, ("OUT_OF_MEMORY", 0, 125)),
        (7, ("CANCELLED", 0, 15)),
        (8, ("CANCELLED", 0, 0)),
        (15, ("CANCELLED", 9, 0)),
        (23, ("RUNNING", None, None)),
    ],
)
def test_every_end_keeps_slurms_state(
    job_id: int, expected: tuple[str, int | None, int | None]
) -> None:
    job = job_of(recorded(job_id))

    assert job is not None
    assert (job["state"], job.get("exit_code"), job.get("signal")) == expected


@pytest.mark.parametrize("raw", RECORDED, ids=lambda raw: str(raw["job_id"]))
def test_old_and_new_json_give_same_job(raw: dict[str, Any]) -> None:
    job = job_of(raw)

    assert job == job_of(as_newer(raw))
    assert job is not None
    assert set(job) <= JOB_FIELDS


def test_array_tasks_carry_array_id() -> None:
    job = job_of(recorded(12))

    assert job is not None
    assert (job["array_job_id"], job["array_task_id"]) == ("9", "0")


def test_planned_times_are_left_out() -> None:
    running = job_of(recorded(23))
    waiting = job_of({**recorded(23), "job_state": "PENDING"})

    assert running is not None
    assert waiting is not None
    assert "end_time" not in running
    assert "start_time" in running
    assert "start_time" not in waiting


@pytest.mark.parametrize("missing", ["job_id", "job_state"])
def test_job_without_id_or_state_is_none(missing: str) -> None:
    assert job_of({**recorded(1), missing: None}) is None


def test_user_without_name_is_a_number() -> None:
    job = job_of({**recorded(1), "user_name": ""})

    assert job is not None
    assert job["user"] == "33"


def test_accounting_job_has_contract_fields() -> None:
    job = history.job_of(SACCT)

    assert job is not None
    assert set(job) <= JOB_FIELDS
    assert (job["job_id"], job["user"], job["state"]) == ("42", "ada", "NODE_FAIL")
    assert (job["exit_code"], job["signal"]) == (0, 9)
    assert (job["array_job_id"], job["array_task_id"]) == ("40", "2")
    assert (job["requested_cpus"], job["allocated_cpus"], job["allocated_gpus"]) == (4, 8, 2)
    assert job["end_time"] == "1970-01-01T00:00:03.000Z"
    assert job["extra"] == {"het_job_id": "39"}


def test_newer_accounting_json_gives_same_job() -> None:
    newer = {
        **SACCT,
        "exit_code": {
            "status": ["SIGNALED"],
            "return_code": boxed(None),
            "signal": {"id": boxed(9), "name": "SIGKILL"},
        },
        "priority": boxed(7),
        "state": {"current": ["NODE_FAIL"], "reason": "None"},
        "time": {"submission": 1, "start": 2, "end": 3, "limit": boxed(60), "elapsed": 1},
        "user": "ada",
    }

    assert history.job_of(newer) == history.job_of(SACCT)


def test_recorded_nodes_have_contract_fields() -> None:
    assert [node_of(raw) for raw in NODES] == [
        {
            "node": "n1", "state": "mixed", "cpus": 2, "memory_total_mb": 2000, "gpus": 2,
            "cpu_load": 2.38,
        },
        {
            "node": "n2", "state": "idle", "cpus": 2, "memory_total_mb": 2000, "gpus": 2,
            "cpu_load": 2.28,
        },
    ]  # fmt: skip


def test_node_flags_follow_its_state() -> None:
    older = node_of({"name": "n1", "state": "idle", "state_flags": ["DRAIN"]})
    newer = node_of({"name": "n1", "state": ["IDLE", "DRAIN"], "gres": "gpu:a100:4(S:0-1)"})

    assert older == {"node": "n1", "state": "idle+drain"}
    assert newer == {"node": "n1", "state": "idle+drain", "gpus": 4}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        (boxed(7), 7),
        (boxed(None), None),
        ({"set": True, "infinite": True, "number": 0}, None),
        (4294967294, None),
        (4294967295, None),
        (18446744073709551614, None),
        (65534, 65534),
        (None, None),
        ("7", None),
        (True, None),
        (-2, None),
    ],
)
def test_slurms_placeholders_are_no_number(value: Any, expected: int | None) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("tres", "expected"),
    [
        ("cpu=1,mem=64M,node=1,billing=1", {"cpus": 1, "memory_mb": 64}),
        ("cpu=4,mem=1.50G,gres/gpu=2,gres/gpu:a100=2", {"cpus": 4, "memory_mb": 1536, "gpus": 2}),
        ("gres/gpu:a100=1,gres/gpu:h100=2", {"gpus": 3}),
        ("gres/gpu=4,gres/gpu:a100=4", {"gpus": 4}),
        ("gres/gpu:a100=4,gres/gpu=4", {"gpus": 4}),
        ("gres/gpu=2,gres/shard=8,gres/mps=200,gres/gpu:a100=2", {"gpus": 2}),
        ("gres/gpu=0,gres/gpu:a100=2", {"gpus": 2}),
        ("gres/shard=4", {}),
        ("cpu=\u00b2,mem=1.2.3G,gres/gpu=x", {}),
        ("mem=2T", {"memory_mb": 2 << 20}),
        ("", {}),
        (None, {}),
        ("nonsense", {}),
    ],
)
def test_resources_are_parsed_from_tres_text(tres: Any, expected: dict[str, int]) -> None:
    assert resources(tres) == expected


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@patient
@given(st.dictionaries(st.sampled_from(sorted(recorded(1)) + sorted(SACCT)), anything))
@example({"tres": {"requested": [7, None]}})
@example({"state": {"current": []}})
def test_malformed_response_stops_no_pass(raw: dict[str, Any]) -> None:
    rest = {name: value for name, value in SACCT.items() if name not in raw}
    for job in (job_of(raw), history.job_of(raw), history.job_of({**rest, **raw})):
        assert job is None or set(job) <= JOB_FIELDS
    node_of(raw)


@patient
@given(anything)
def test_malformed_values_are_left_out(value: Any) -> None:
    assert number(value) is None or isinstance(number(value), int)
    assert text(value) is None or isinstance(text(value), str)
    assert state(value) is None or isinstance(state(value), str)
    exit_of(value)
    resources(value)


def test_time_past_contracts_end_is_left_out() -> None:
    assert time(7_258_118_399) == "2199-12-31T23:59:59.000Z"
    assert [time(value) for value in (0, 7_258_118_400, 253402300800, 2**63)] == [None] * 4
