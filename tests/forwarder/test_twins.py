"""Parsers that exist twice: in the forwarder without dependencies, in the service by libraries.

Both must give the same result for the same input from Slurm.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.domain import states
from hpcobs.domain.lifecycle.job_from_event import Origin, from_scheduler
from hpcobs.http.schemas import sync
from hpcobs.scheduler import hostlists
from hpcobs.scheduler.slurm import records
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.controller.states import is_open, is_pending
from hpcobs_forwarder.node import hostlist
from tests.forwarder.properties import patient
from tests.forwarder.slurm_json import boxed

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
SLURM_STATES = sorted(states._FROM_SLURM)


@pytest.mark.parametrize("state", SLURM_STATES)
@pytest.mark.parametrize("flag", ["", "+LAUNCH_FAILED"])
def test_both_agree_on_final_states(state: str, flag: str) -> None:
    normal = states.from_slurm(state + flag)
    assert is_open(state + flag) is not normal.is_terminal
    assert not is_pending(state + flag) or normal is states.JobState.PENDING


@st.composite
def names(draw: st.DrawFn) -> str:
    prefix = draw(st.from_regex(r"[a-z]{1,3}", fullmatch=True))
    if draw(st.booleans()):
        return prefix + str(draw(st.integers(0, 200)))
    ranges = []
    for _ in range(draw(st.integers(1, 3))):
        first, width = draw(st.integers(0, 120)), draw(st.integers(1, 4))
        last = first + draw(st.integers(0, 5))
        text = str(first).zfill(width)
        ranges.append(text if last == first else f"{text}-{str(last).zfill(width)}")
    return f"{prefix}[{','.join(ranges)}]{draw(st.sampled_from(['', '-ib', '.site']))}"


@given(st.lists(names(), min_size=1, max_size=4).map(",".join))
@patient
def test_both_expand_node_lists_in_same_order(text: str) -> None:
    assert list(dict.fromkeys(hostlist.expand(text))) == list(hostlists.expanded(text))


@given(st.lists(st.tuples(st.integers(1, 256), st.integers(1, 9)), min_size=1, max_size=4))
@patient
def test_both_parse_cpus_per_node_alike(groups: list[tuple[int, int]]) -> None:
    text = ",".join(f"{cpus}(x{nodes})" if nodes > 1 else str(cpus) for cpus, nodes in groups)
    assert hostlist.cpus_per_node(text) == list(hostlists.node_cpus(text))


COUNTS = st.sampled_from([0, 1, 7, 90, 2**32 - 2, 2**32 - 1, 2**64 - 2, 2**64 - 1])
"""Numbers of a job, and Slurm's placeholders for none."""
TIMES = st.sampled_from([0, 1_795_000_000])
TRES = st.sampled_from(
    [
        None, "", "cpu=4", "cpu=4,mem=8000M,node=2,billing=4", "cpu=1,mem=1.50G,gres/gpu=2",
        "mem=512K,gres/gpu:a100=1,gres/gpu:v100=2", "cpu=8,mem=1T,gres/gpu=3,gres/gpu:a100=3",
        "mem=4096", "(null)",
    ]
)  # fmt: skip
GRES = st.sampled_from([None, [], ["gpu:2(IDX:0-1)"], ["gpu:a100:1(IDX:3)", "gpu:a100:2(IDX:0-1)"]])
TEXTS = st.sampled_from(["", "(null)", "None assigned", "N/A", "a name", "x" * 300])
EXITS = st.sampled_from([0, 9, 15, 125, 3 << 8, (1 << 8) + 11, 2**32 - 2])
BOXED = ("submit_time", "start_time", "end_time", "priority", "time_limit", "array_job_id")


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Return a job as some version of slurmrestd writes it."""
    raw: dict[str, Any] = {
        "job_id": 4711, "user_name": "ada", "nodes": "n[1-2],m1", "restart_cnt": draw(COUNTS),
        "job_state": draw(st.sampled_from(SLURM_STATES)), "array_task_id": draw(COUNTS),
        "priority": draw(COUNTS), "time_limit": draw(COUNTS), "array_job_id": draw(COUNTS),
        "het_job_id": draw(COUNTS), "name": draw(TEXTS), "account": draw(TEXTS),
        "partition": draw(TEXTS), "qos": draw(TEXTS), "state_reason": draw(TEXTS),
        "submit_time": draw(TIMES), "start_time": draw(TIMES), "end_time": draw(TIMES),
        "exit_code": draw(EXITS), "tres_req_str": draw(TRES), "tres_alloc_str": draw(TRES),
        "gres_detail": draw(GRES),
    }  # fmt: skip
    if draw(st.booleans()):
        raw |= {name: boxed(raw[name]) for name in BOXED} | {"job_state": [raw["job_state"]]}
        raw["exit_code"] = {"return_code": boxed(3), "signal": {"id": boxed(draw(COUNTS) % 65)}}
    return raw


@given(jobs())
@patient
def test_both_parse_jobs_of_all_versions_alike(raw: dict[str, Any]) -> None:
    posted = sync.SeenJob.model_validate(job_of(raw), strict=False)
    sent = posted.to_event(observed_at=NOW, cluster_name=None)
    (queried,) = records.parse_jobs([msgspec.Raw(msgspec.json.encode(raw))], NOW)
    origin = Origin(home_cluster="lab")
    assert from_scheduler(sent, origin) == from_scheduler(queried, origin)


@pytest.mark.parametrize("gres", ["", "(null)", "gpu:2", "gpu:a100:4(S:0-1),gpu:v100:1"])
@pytest.mark.parametrize("tres", [None, "cpu=8,mem=16000M,gres/gpu=4"])
@pytest.mark.parametrize("flags", [[], ["DRAIN"]])
def test_both_parse_nodes_alike(gres: str, tres: str | None, flags: list[str]) -> None:
    raw = {
        "name": "n1", "state": "IDLE", "state_flags": flags, "cpus": 8, "real_memory": 16000,
        "cpu_load": 150, "gres": gres, "tres": tres,
    }  # fmt: skip
    posted = sync.SeenNode.model_validate(node_of(raw))
    (queried,) = records.parse_nodes([msgspec.Raw(msgspec.json.encode(raw))], "lab")
    sent = posted.to_report(observed_at=NOW, cluster_name="lab")
    assert sent == replace(queried, observed_at=NOW)
