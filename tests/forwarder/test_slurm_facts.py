"""What the forwarder knows of Slurm: its states, and how it counts GPUs."""

from __future__ import annotations

from typing import Any

import pytest

from hpcobs_forwarder.controller import history
from hpcobs_forwarder.controller.states import is_open, is_pending
from hpcobs_forwarder.controller.values import state
from tests.forwarder.slurm_json import SACCT, boxed


def gpu_tres(**counts: Any) -> list[dict[str, Any]]:
    return [
        {"type": "gres", "name": name.replace("_", ":"), "count": count}
        for name, count in counts.items()
    ]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (gpu_tres(gpu=2), 2),
        (gpu_tres(gpu_a100=2), 2),
        (gpu_tres(gpu_a100=2, gpu_h100=1), 3),
        (gpu_tres(gpu=4, gpu_a100=4), 4),
        (gpu_tres(gpu_a100=4, gpu=4, shard=16, mps=100), 4),
        (gpu_tres(shard=16), None),
        (gpu_tres(gpu=boxed(2)), 2),
        (gpu_tres(gpu="Infinity", gpu_a100=1), 1),
        ([None, 7, {"type": "gres"}], None),
        ("gpu=4", None),
    ],
)
def test_accounting_counts_each_gpu_once(entries: Any, expected: int | None) -> None:
    job = history.job_of({**SACCT, "tres": {"allocated": entries}})

    assert job is not None
    assert job.get("allocated_gpus") == expected


# The names of job_state_string() and of the data parsers' flags, in Slurm 20.11 to 26.05.
STATES = {
    "waits": (
        *("PENDING", "CONFIGURING", "EXPEDITING", "REQUEUED", "REQUEUED_CRON", "REQUEUE_FED"),
        *("REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    ),
    "runs": (
        *("RUNNING", "SUSPENDED", "STOPPED", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT"),
    ),
    "ended": (
        *("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL"),
        *("DEADLINE", "OUT_OF_MEMORY", "REVOKED"),
    ),
}
FLAGS = ("", "+COMPLETING", "+STOPPED", "+POWER_UP_NODE", "+LAUNCH_FAILED", " by 1000")


@pytest.mark.parametrize(
    ("kind", "state"), [(k, name) for k, names in STATES.items() for name in names]
)
@pytest.mark.parametrize("flag", FLAGS)
def test_every_state_of_slurm_is_known(kind: str, state: str, flag: str) -> None:
    for raw in (state + flag, (state + flag).lower()):
        assert is_pending(raw) is (kind == "waits")
        assert is_open(raw) is (kind != "ended")


@pytest.mark.parametrize("raw", ["?", "UNINITIALISED", "NEW_IN_2030", "", "+", "?+COMPLETED"])
def test_unknown_state_is_no_end(raw: str) -> None:
    assert is_open(raw)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("RUNNING", "RUNNING"),
        (["RUNNING"], "RUNNING"),
        (["RUNNING", "STOPPED"], "RUNNING+STOPPED"),
        ({"current": "RUNNING", "reason": "None"}, "RUNNING"),
        ({"current": ["PENDING", "EXPEDITING"]}, "PENDING+EXPEDITING"),
        ([], None),
        ([None, 7], None),
        ({}, None),
        (7, None),
        (None, None),
    ],
)
def test_state_is_text_list_or_object(value: Any, expected: str | None) -> None:
    assert state(value) == expected
