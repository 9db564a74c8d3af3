"""The forwarder and the service know the same facts about Slurm: one job from the same bytes.

The forwarder's job goes through the validation of the API. What either skips, both skip.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.domain import states
from hpcobs.domain.errors import DomainError
from hpcobs.http.schemas import sync
from hpcobs.http.validation import validated
from hpcobs.scheduler.slurm.decode import decode_response
from hpcobs.scheduler.slurm.records import RawJob, RawNode, parse_jobs, parse_nodes
from hpcobs_forwarder.controller import states as forwarder_states
from hpcobs_forwarder.controller.decode import decoded
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.nodes import node_of
from hpcobs_forwarder.controller.records import Faults, parsed
from tests.forwarder.properties import patient
from tests.forwarder.slurm_json import FIXTURES, NODES, RECORDED, as_newer

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
ANSWERS = sorted(
    path
    for path in FIXTURES.glob("*.json")
    if path.name.startswith(("slurmrestd", "scontrol", "squeue", "sinfo"))
)
NEWER = [as_newer(raw) for raw in RECORDED]
ENDED = {**RECORDED[0], "array_job_id": 7, "array_task_id": 3}
FIELDS = sorted(set(RawJob.__struct_fields__) - {"cluster"})
NODE_FIELDS = sorted(set(RawNode.__struct_fields__) - {"cluster_name"})
ODD = [
    *(b"null", b"true", b"false", b"0", b"-1", b"7", b"1.5", b"-0.0", b"1e999", b"-1e999", b"NaN"),
    *(b"Infinity", b"-Infinity", b'"Infinity"', b'"NaN"', b'"7"', b'""', b'" "', b'"(null)"'),
    *(b"2147483647", b"2147483648", b"4294967294", b"4294967295", b"9223372036854775807"),
    *(b"9223372036854775808", b"18446744073709551614", b"18446744073709551615", b"9" * 25),
    *(b"9" * 5000, b"7258118399", b"7258118400", b"1095216660480", b"1e16", b"1e300"),
    *(b"[]", b"{}", b"[null]", b"[7]", b'["RUNNING"]', b'["RUNNING", "STOPPED"]', b'"RUNNING"'),
    *(b'["PENDING", "EXPEDITING"]', b'"STOPPED"', b'"RESIZING"', b'"SUSPENDED"'),
    b'"REQUEUED_CRON"',
    *(b'"CANCELLED by 1000"', b'"cancelled+"', b'"?"', b'"NEW_IN_2030"', b'["?", "COMPLETED"]'),
    *(b'{"set": true, "infinite": false, "number": 5}', b'{"set": false, "number": 5}'),
    *(b'{"set": true, "infinite": true, "number": 5}', b'{"number": 5}', b'{"set": true}'),
    *(b'{"set": true, "number": "Infinity"}', b'{"set": true, "number": 1e999}', b'{"set": 1}'),
    *(b'{"set": true, "number": [5]}', b'{"set": true, "infinite": false, "number": 4294967295}'),
    b'{"return_code": {"set": true, "number": 3}, "signal": {"id": {"set": true, "number": 9}}}',
    *(b'{"return_code": 3, "signal": {"signal_id": 9}}', b'{"return_code": "x", "signal": []}'),
    *(b'"None"', b'"N/A"', b'"Unknown"', b'"None assigned"', b'"UNLIMITED"', b'"Partition_Limit"'),
    *(b'"r\xe9sultat"', b'"\xff\xfe"', b'"\\ud800"', b'"\\udc00\\ud800x"', b'"a\\u0000b"'),
    *(b'"a\tb"', b'"\x01"', b'"\x00"', b'"\xed\xa0\x80"', b'"\\ud83d\\ude00"'),
    b'"%b"' % (b"x" * 300),
    *(b'"n[1-3],m7"', b'"n1 n2"', b'"n\\u0007"', b'"0-9%2"', b'"1,3,5-7"', b'"cpu=4,mem=1.50G"'),
    *(b'"cpu=4,gres/gpu:a100=2,gres/gpu=2"', b'"gres/gpu:a100=2,gres/gpu:v100=1,mem=3K"'),
    *(b'"gres/gpu:1g.5gb=3,gres/shard=8"', b'"gres/gpu=0,gres/gpu:a100=2"'),
    b'"cpu=\xc2\xb2,mem=1.2.3G"',
    *(b'"cpu=99999999999,mem=9999999999P,gres/gpu=99999999999"', b'"cpu,mem=,gres/gpu=x"'),
    *(b'["gpu:2(IDX:0-1)"]', b'["gpu:a100:2(IDX:0-1)", "gpu:v100:1"]', b'[7, "gpu:1", null]'),
    *(b'"gpu:a100:4(S:0-1),gpu:2"', b'"shard:8,gpu:no:1"', b'"gpu:99999999999"', b'"gpu"'),
]  # fmt: skip
"""JSON that stands where a value is expected."""


def by_forwarder(body: bytes) -> list[Any]:
    """Return the jobs that reach the domain by way of the forwarder and the API."""
    found = []
    for job in parsed(decoded(body).get("jobs", []), job_of, Faults()):
        try:
            posted = validated(sync.SeenJob, json.loads(json.dumps(job)))
            found.append(posted.to_event(observed_at=NOW, cluster_name=None))
        except DomainError:
            continue
    return found


def by_service(body: bytes) -> list[Any]:
    return parse_jobs(decode_response(body).jobs or [], NOW)


def nodes_by_forwarder(body: bytes) -> list[Any]:
    """Return the nodes that reach the domain by way of the forwarder and the API."""
    return [
        validated(sync.SeenNode, node).to_report(observed_at=NOW, cluster_name="lab")
        for node in parsed(decoded(body).get("nodes", []), node_of, Faults())
    ]


def nodes_by_service(body: bytes) -> list[Any]:
    nodes = parse_nodes(decode_response(body).nodes or [], "lab")
    return [replace(node, observed_at=NOW) for node in nodes]


def answer(key: str, *records: dict[str, Any]) -> bytes:
    return json.dumps({key: [{**record, "cluster": None} for record in records]}).encode()


def with_value(key: str, record: dict[str, Any], field: str, value: bytes) -> bytes:
    """Return an answer with the record, whose ``field`` has exactly these bytes, and with it."""
    return answer(key, {**record, field: "MARK"}, record).replace(b'"MARK"', value)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: str(path.name))
def test_recorded_answers_give_same_jobs(path: Any) -> None:
    body = path.read_bytes()
    response = decoded(body)
    found = by_service(body)
    assert [replace(job, cluster_name=None) for job in found] == by_forwarder(body)
    assert len(found) == len(response.get("jobs", []))
    nodes = nodes_by_service(body)
    assert nodes == nodes_by_forwarder(body)
    assert len(nodes) == len(response.get("nodes", []))


def test_newer_notation_gives_same_jobs() -> None:
    body = answer("jobs", *NEWER)
    assert by_service(body) == by_forwarder(body) == by_service(answer("jobs", *RECORDED))


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("state", ["COMPLETED", "RUNNING", "PENDING", "SUSPENDED", "CANCELLED"])
def test_odd_values_give_same_jobs(field: str, state: str) -> None:
    record = {**ENDED, "job_state": state, "suspend_time": 1_795_000_000, "pre_sus_time": 5}
    for value in ODD:
        body = with_value("jobs", record, field, value)
        found = by_service(body)
        assert found == by_forwarder(body), (field, value[:60])
        assert found[-1].name == record["name"], "the other job is lost"


@pytest.mark.parametrize("field", NODE_FIELDS)
def test_odd_values_give_same_nodes(field: str) -> None:
    for value in ODD:
        body = with_value("nodes", {"state_flags": ["DRAIN"], **NODES[0]}, field, value)
        assert nodes_by_service(body) == nodes_by_forwarder(body), (field, value[:60])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["set", "infinite", "number", "id", "signal"]), inner)
    ),
    max_leaves=6,
)


@given(
    st.sampled_from([*RECORDED, *NEWER]),
    st.dictionaries(st.sampled_from(FIELDS), anything, max_size=3),
    st.sampled_from(sorted(states._FROM_SLURM)),
)
@patient
def test_any_values_give_same_jobs(record: dict[str, Any], odd: dict[str, Any], name: str) -> None:
    body = answer("jobs", {**record, "job_state": name, **odd}, record)
    assert by_service(body) == by_forwarder(body)


@given(st.binary(max_size=60), st.integers(0, 300))
@patient
def test_damaged_bytes_give_same_jobs(noise: bytes, place: int) -> None:
    good = answer("jobs", RECORDED[0])
    body = good[:place] + noise + good[place:]
    try:
        expected = by_forwarder(body)
    except (ValueError, AttributeError, TypeError):  # no list of jobs
        return
    assert by_service(body) == expected


FLAGS = (
    *("", "+COMPLETING", "+STOPPED", " by 1000", "+LAUNCH_FAILED", "+STAGE_OUT"),
    "+COMPLETING+LAUNCH_FAILED",
)


@pytest.mark.parametrize("state", sorted(states._FROM_SLURM))
@pytest.mark.parametrize("flag", FLAGS)
def test_states_are_the_same(state: str, flag: str) -> None:
    for raw in (state + flag, (state + flag).lower()):
        normal = states.from_slurm(raw)
        assert forwarder_states.is_open(raw) is not normal.is_terminal
        assert forwarder_states.is_pending(raw) is states.waits(raw)
        assert forwarder_states.is_suspended(raw) is states.is_suspended(raw)
        settled = normal.is_terminal and states.is_settled(raw)
        assert forwarder_states.is_settled(raw) is settled


def test_both_know_the_same_states() -> None:
    known = {*forwarder_states.PENDING, *forwarder_states.RUNNING, *forwarder_states.ENDED}
    assert known == set(states._FROM_SLURM)
    assert forwarder_states.PASSING_FLAGS == states._PASSING_FLAGS
