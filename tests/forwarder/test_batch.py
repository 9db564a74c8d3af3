"""The format of a batch file, cut and damaged at any byte."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs_forwarder.spool.batch import (
    DamagedBatchError,
    decode,
    halves,
    host_line,
    opening_line,
    samples_line,
)
from tests.forwarder.properties import patient


def samples(*names: str) -> list[dict[str, object]]:
    return [{"job_id": name, "cpu_usage": 1.5} for name in names]


def file(*passes: list[dict[str, object]]) -> bytes:
    return b"".join([opening_line("n1", "lab"), *map(samples_line, passes), host_line({"cpus": 4})])


def test_batch_becomes_contract_json() -> None:
    batch = decode(file(samples("1", "2"), samples("1")))

    body = json.loads(batch.body())

    assert set(body) == {"node", "batch_id", "cluster_name", "samples", "host"}
    assert (body["node"], body["cluster_name"], body["host"]) == ("n1", "lab", {"cpus": 4})
    assert [sample["job_id"] for sample in body["samples"]] == ["1", "2", "1"]
    assert batch.samples == 3
    assert not batch.damaged
    assert not batch.torn


def test_batch_without_samples_is_valid_json() -> None:
    body = json.loads(decode(opening_line("n1", None)).body())

    assert body == {"node": "n1", "batch_id": body["batch_id"], "samples": []}


def test_batch_ids_are_random_uuids() -> None:
    ids = {json.loads(decode(opening_line("n1", None)).body())["batch_id"] for _ in range(50)}

    assert len(ids) == 50
    assert all(one[14] == "4" and one[19] in "89ab" and len(one) == 36 for one in ids)


@patient
@given(st.integers(0, 400))
def test_truncated_file_keeps_its_whole_lines(length: int) -> None:
    data = file(samples("1", "2"), samples("3"))[:length]
    whole_lines = data.count(b"\n")
    if not whole_lines:
        with pytest.raises(DamagedBatchError):
            decode(data)
        return

    batch = decode(data)

    assert len(batch.passes) == min(whole_lines - 1, 2)
    assert batch.torn == (not data.endswith(b"\n"))
    assert not batch.damaged
    json.loads(batch.body())


@patient
@given(st.data())
def test_changed_byte_costs_only_its_line(data: st.DataObject) -> None:
    original = file(samples("1", "2"), samples("3"))
    position = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != original[position]))
    changed = original[:position] + bytes([byte]) + original[position + 1 :]

    try:
        batch = decode(changed)
    except DamagedBatchError:
        return

    body = json.loads(batch.body())
    assert all(sample["job_id"] in {"1", "2", "3"} for sample in body["samples"])
    assert batch.damaged or batch.torn or batch.samples == 3


def test_halves_share_samples_under_new_ids() -> None:
    batch = decode(file(samples("1", "2", "3")))

    both = halves(batch)

    assert both is not None
    first, second = (json.loads(decode(half).body()) for half in both)
    assert len(first["samples"] + second["samples"]) == 3
    assert len({first["batch_id"], second["batch_id"], batch.opening["batch_id"]}) == 3


def test_single_sample_has_no_halves() -> None:
    assert halves(decode(file(samples("1")))) is None
