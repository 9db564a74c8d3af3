"""One bad byte or value costs itself: all other values and jobs are read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.http import validation
from hpcobs.http.schemas import sync
from hpcobs_forwarder.controller import history
from hpcobs_forwarder.controller.commands import Commands
from hpcobs_forwarder.controller.decode import decoded
from hpcobs_forwarder.controller.jobs import job_of
from hpcobs_forwarder.controller.records import Faults, parsed
from hpcobs_forwarder.spool.batch import encode
from tests.forwarder.fake_slurm import Controller, job
from tests.forwarder.properties import patient
from tests.forwarder.slurm_json import SACCT, boxed, recorded

if TYPE_CHECKING:
    from hpcobs_forwarder.daemon.health import Health

PLAIN = b'{"job_id": 1, "job_state": ["RUNNING"], "user_name": "ada", "name": "plain"}'


def jobs_of(*records: bytes) -> tuple[dict[str, dict[str, Any]], Faults]:
    source = Commands(lambda _: b'{"errors": [], "jobs": [' + b", ".join(records) + b"]}")
    return {one["job_id"]: one for one in source.jobs()}, source.faults


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"r\xe9sultat", "r\ufffdsultat"),
        (b"\xff\xfe\x00", "\ufffd\ufffd\ufffd"),
        (b"\\ud800x", "\ufffdx"),
        (b"\\udc00\\ud800", "\ufffd\ufffd"),
        (b"\\ud83d\\ude00", "\U0001f600"),
        (b"a\\u0000b", "a\ufffdb"),
        (b"a\tb\nc", "a\tb\nc"),
        (b"\x1b[31m", "\x1b[31m"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    ],
)
def test_text_that_is_not_utf8_is_replaced(raw: bytes, expected: str) -> None:
    odd = b'{"job_id": 2, "job_state": ["RUNNING"], "user_name": "bob", "name": "%b"}' % raw
    jobs, _ = jobs_of(PLAIN, odd)

    assert [jobs["1"]["name"], jobs["2"]["name"]] == ["plain", expected]
    validation.validated(sync.SeenJob, json.loads(encode(jobs["2"])))


NUMBERS = (
    *(b'"Infinity"', b"Infinity", b"-Infinity", b"NaN", b"1e999", b"-1e999", b'"NaN"', b"true"),
    *(b"9" * 30, b"9" * 5000, b"[1]", b'{"set": true, "infinite": false, "number": "Infinity"}'),
    *(b'{"set": true, "number": 1e999}', b'{"number": {}}', b'"9x"', b"[]"),
)


@pytest.mark.parametrize("field", ["priority", "time_limit", "restart_cnt", "submit_time"])
@pytest.mark.parametrize("value", NUMBERS)
def test_odd_number_costs_only_itself(field: str, value: bytes) -> None:
    odd = b'{"job_id": 2, "job_state": ["RUNNING"], "user_name": "bob", "name": "x", "%b": %b}'
    jobs, faults = jobs_of(PLAIN, odd % (field.encode(), value))

    assert jobs["2"] == {"job_id": "2", "user": "bob", "state": "RUNNING", "name": "x"}
    assert jobs["1"]["name"] == "plain"
    assert faults.count <= 1


@pytest.mark.parametrize("value", ['"Infinity"', "[1]", "true", "NaN"])
def test_odd_values_are_counted(value: str) -> None:
    odd = f'{{"job_id": 2, "job_state": "RUNNING", "user_name": "bob", "priority": {value}}}'

    assert jobs_of(PLAIN, odd.encode())[1].values == 1


@pytest.mark.parametrize("value", ["UNLIMITED", "Partition_Limit", "INFINITE", "N/A", "", None])
def test_slurms_words_for_no_limit_are_no_fault(value: str | None) -> None:
    raw = {"job_id": 2, "job_state": "RUNNING", "user_name": "bob", "time_limit": value}
    faults = Faults()

    (found,) = parsed([raw], job_of, faults)
    assert ("time_limit_minutes" in found, faults.count) == (False, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("restart_cnt", 2**31),
        ("time_limit", 2**40),
        ("priority", 2**63),
        ("tres_alloc_str", "cpu=99999999999,mem=9999999999P,gres/gpu=99999999999"),
        ("nodes", "n1 n2"),
        ("nodes", "n\x07"),
        ("user_id", 2**70),
        ("exit_code", {"return_code": 2**40}),
        ("tres_req_str", "cpu=\u00b2,mem=1.2.3G"),
    ],
)
def test_value_over_contract_costs_only_itself(field: str, value: Any) -> None:
    found = job_of({**recorded(1), field: value})

    assert found is not None
    event = validation.validated(sync.SeenJob, json.loads(encode(found)))
    assert (event.job_id, event.state) == ("1", "COMPLETED")


@pytest.mark.parametrize("bad", [{"job_state": 7}, {"user_name": [], "user_id": None}])
def test_unreadable_job_is_not_missing(
    controller: Controller, health: Health, bad: dict[str, Any]
) -> None:
    controller.slurm.now = [job(1), job(2)]
    controller.tick()
    parsed(
        [{"job_id": 1, "job_state": "RUNNING", "user_name": "a", **bad}], job_of, (f := Faults())
    )
    controller.slurm.now, controller.slurm.faults = [job(2)], f

    assert controller.lost(50) == []
    assert controller.slurm.queried_ids == []
    assert health.value("reader_errors_total", "values") == 50


@pytest.mark.parametrize("record", [None, 7, "x", {}, {"job_id": None}, {"job_id": "Infinity"}])
def test_job_without_id_concludes_nothing(controller: Controller, record: Any) -> None:
    controller.slurm.now = [job(1), job(2)]
    controller.tick()
    parsed([record], job_of, (faults := Faults()))
    controller.slurm.now, controller.slurm.faults = [job(2)], faults

    assert faults.unidentified == 1
    assert controller.lost(50) == []


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@patient
@given(st.data(), odd)
def test_any_value_leaves_other_jobs(data: st.DataObject, value: Any) -> None:
    for record, parse in ((recorded(1), job_of), (SACCT, history.job_of)):
        field = data.draw(st.sampled_from(sorted(record)))
        good = {**record, "job_id": 77}

        found = parsed([{**record, field: value}, good], parse, Faults())

        assert found[-1] == parse(good)
        for one in found:
            json.loads(encode(one))


@patient
@given(st.binary(max_size=200), st.integers(0, 76))
def test_damaged_bytes_never_raise_anything_else(noise: bytes, place: int) -> None:
    body = PLAIN[:place] + noise + PLAIN[place:]
    try:
        decoded(body)
    except ValueError:
        return


def test_boxed_text_is_no_number() -> None:
    found = job_of({**recorded(1), "priority": {**boxed(1), "number": "1"}})

    assert found is not None
    assert "priority" not in found
