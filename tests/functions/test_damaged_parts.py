"""Damage costs the part that it is in: a sample, a job or a node of a body, and no other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpcobs import bootstrap
from hpcobs.domain.errors import InvalidInputError
from hpcobs.service.ingestion import messages
from hpcobs.wire.batches import decode_batch, unpack
from hpcobs.wire.splitting import MAX_BRACKETS, MAX_MEMBERS, split

if TYPE_CHECKING:
    from tests.functions.gateway import Gateway
    from tests.stores import Query

T = "2026-11-02T08:00:00Z"
JOB = {"id": "1", "user": "ada", "nodes": ["n1"], "start_time": T}


def sample(number: int, **literals: str) -> bytes:
    """Return the JSON of a sample in which some fields are literals."""
    fields = {
        "job_id": '"1"',
        "timestamp": f'"2026-11-02T08:00:{number:02}Z"',
        "cpu_usage": "5",
        "memory_usage_mb": "5",
        **literals,
    }
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}").encode()


def batch(*samples: bytes, more: str = "") -> bytes:
    head = f'{{"node": "n1", "batch_id": "{uuid4()}"{more}, "samples": ['
    return head.encode() + b", ".join(samples) + b"]}"


# Each damaged sample, and the field that is named for it.
DAMAGE: dict[str, tuple[bytes, str]] = {
    "NaN": (sample(30, cpu_usage="NaN"), "cpu_usage"),
    "Infinity": (sample(30, gpu_usage="Infinity"), "gpu_usage"),
    "minus Infinity": (sample(30, memory_usage_mb="-Infinity"), "memory_usage_mb"),
    "NaN of a GPU": (
        sample(30, gpus='[{"gpu_id": "0", "gpu_vendor": "amd", "power_watts": NaN}]'),
        "gpus[0].power_watts",
    ),
    "NaN for a text": (sample(30, job_id="NaN"), "job_id"),
    "too large a float": (sample(30, cpu_usage="1e999"), "cpu_usage"),
    "400 digits": (sample(30, memory_usage_mb="1" * 400), "memory_usage_mb"),
    "5000 digits": (sample(30, memory_usage_mb="1" * 5000), "memory_usage_mb"),
    "number": (b"5", "samples[1]"),
    "null": (b"null", "samples[1]"),
    "list": (b"[]", "samples[1]"),
    "bare NaN": (b"NaN", "samples[1]"),
    "no JSON": (b"nul", "samples[1]"),
    "list of 10,000 lists": (b"[" * 10_000 + b"]" * 10_000, "samples[1]"),
    "deep field": (sample(30, extra="[" * 5000 + "]" * 5000), "samples[1]"),
    "trailing comma": (sample(30)[:-1] + b",}", "samples[1]"),
    "byte that is not UTF-8": (sample(30).replace(b'"1"', b'"1\xff"'), "job_id"),
    "half of a surrogate pair": (sample(30, job_id=r'"1\ud800"'), "job_id"),
    "raw newline": (sample(30).replace(b'"1"', b'"1\n"'), "job_id"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_sample_costs_only_itself(site: Gateway, query: Query, kind: str) -> None:
    damaged, field = DAMAGE[kind]
    assert site.post("/v1/jobs", JOB).status == 201
    answer = site.post("/v1/samples", body=batch(sample(0), damaged, sample(2)))
    assert (answer.status, answer.json["accepted"]) == (202, 2), answer.body
    (rejected,) = answer.json["rejected"]
    assert rejected["position"] == 1
    assert field in rejected["message"]
    bootstrap.collection().run(lambda: 25.0)
    assert query("SELECT count(*) FROM metric_samples") == [(2,)]
    ((position, payload, reason),) = query("SELECT position, payload, reason FROM rejected_samples")
    assert (position, field in reason) == (1, True)
    assert payload == damaged.decode(errors="replace")[:65_536]


def test_damaged_samples_survive_the_halving_of_batch() -> None:
    noise = [sample(0, cpu_usage=str(number / 7)) for number in range(90)]
    parts = [*noise[:40], DAMAGE["NaN"][0], *noise[40:], DAMAGE["deep field"][0]]
    body = batch(*parts, more=', "host": {"cpus": 4}')
    decoded = [unpack(message) for message in messages(body, limit=300)]
    assert len(decoded) > 1
    assert sorted(place for part in decoded for place in part.positions) == [
        number for number in range(92) if number not in (40, 91)
    ]
    assert [bad.position for part in decoded for bad in part.rejected] == [40, 91]
    assert {part.host.cpus for part in decoded if part.host} == {4}


@pytest.mark.parametrize("cut", [1, 2, 30, 60])
def test_batch_that_is_cut_short_is_rejected(site: Gateway, cut: int) -> None:
    answer = site.post("/v1/samples", body=batch(sample(0), sample(1))[:-cut])
    assert (answer.status, "JSON" in answer.json["message"]) == (400, True)


@pytest.mark.parametrize(
    ("host", "field"),
    [
        ('{"cpus": 4, "cpu_load": NaN}', "host.cpu_load"),
        ('{"cpu_load": -1}', "host.cpu_load"),
        ('{"cpus": 1.0}', "host.cpus"),
        ('{"unknown": 1}', "host.unknown"),
        ("NaN", "host"),
        ("7", "host"),
    ],
)
def test_bad_host_costs_no_sample(site: Gateway, query: Query, host: str, field: str) -> None:
    assert site.post("/v1/jobs", JOB).status == 201
    answer = site.post("/v1/samples", body=batch(sample(0), more=f', "host": {host}'))
    assert (answer.status, answer.json["accepted"]) == (202, 1)
    assert answer.json["rejected_host"].startswith(field)
    bootstrap.collection().run(lambda: 25.0)
    assert query("SELECT count(*) FROM metric_samples") == [(1,)]
    assert query("SELECT name, cpus, cpu_load FROM nodes") == [("n1", None, None)]


def seen(job_id: str, **literals: str) -> bytes:
    fields = {"job_id": f'"{job_id}"', "user": '"ada"', "state": '"RUNNING"', **literals}
    return ("{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}").encode()


DAMAGED_JOBS: dict[str, tuple[bytes, str]] = {
    "NaN": (seen("2", suspended_seconds="NaN"), "suspended_seconds"),
    "NaN for an integer": (seen("2", priority="-Infinity"), "priority"),
    "NaN for a text": (seen("2", name="NaN"), "name"),
    "NaN in facts": (seen("2", extra='{"a": [NaN]}'), "extra"),
    "too large in facts": (seen("2", extra='{"a": [1e999]}'), "extra"),
    "5000 digits": (seen("2", priority="1" * 5000), "priority"),
    "deep field": (seen("2", name="[" * 5000 + "]" * 5000), ""),
    "facts of 300 lists": (seen("2", extra='{"a": ' + "[" * 5000 + "]" * 5000 + "}"), ""),
    "trailing comma": (seen("2")[:-1] + b",}", "JSON"),
}


@pytest.mark.parametrize("kind", DAMAGED_JOBS)
def test_damaged_job_costs_only_itself(site: Gateway, query: Query, kind: str) -> None:
    damaged, word = DAMAGED_JOBS[kind]
    node = b'{"node": "n9", "state": "IDLE", "cpu_load": NaN}, {"node": "n1", "state": "IDLE"}'
    jobs = b", ".join([seen("1"), damaged, seen("3")])
    body = f'{{"observed_at": "{T}", "jobs": ['.encode() + jobs + b'], "nodes": [' + node + b"]}"
    answer = site.post("/v1/events/jobs", body=body)
    assert answer.status == 200, answer.body
    results = answer.json["results"]
    assert [(item["job_id"], item["status"]) for item in results] == [
        ("1", "created"), ("2", "failed"), ("3", "created")
    ]  # fmt: skip
    assert word in results[1]["message"]
    (bad_node,) = answer.json["rejected_nodes"]
    assert bad_node["node"] == "n9"
    assert "cpu_load" in bad_node["message"]
    assert query("SELECT id FROM jobs ORDER BY id") == [("1",), ("3",)]
    assert query("SELECT name FROM nodes ORDER BY name") == [("n1",)]


SINGLE: list[tuple[str, str, str, dict[str, Any]]] = [
    ("POST", "/v1/jobs/1/metrics", "cpu_usage", {"timestamp": T, "memory_usage_mb": 5}),
    ("PATCH", "/v1/jobs/1", "gpu_usage", {}),
    ("POST", "/v1/jobs", "allocated_cpus", {"id": "2", "user": "ada", "nodes": ["n1"]}),
    (
        "POST",
        "/v1/events/job-started",
        "cpu_allocation",
        {"job_id": "2", "user": "ada", "node_list": ["n1"], "timestamp": T},
    ),
    (
        "POST",
        "/v1/events/job-finished",
        "exit_code",
        {"job_id": "2", "final_state": "failed", "timestamp": T},
    ),
    ("POST", "/v1/events/jobs", "observed_at", {"jobs": []}),
]


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1" * 5000])
@pytest.mark.parametrize("call", SINGLE)
def test_single_body_names_field_without_number(
    shared_site: Gateway, call: tuple[str, str, str, dict[str, Any]], literal: str
) -> None:
    method, path, field, body = call
    text = json.dumps({**body, field: "HERE"}).replace('"HERE"', literal)
    answer = shared_site.send(method, path, body=text)
    assert answer.status == 400
    assert [item["field"] for item in answer.json["details"]["errors"]] == [field]


def test_splitting_stops_at_its_limits() -> None:
    members = [f'"{number}":1' for number in range(MAX_MEMBERS + 1)]
    assert split(f"{{{','.join(members[:-1])}}}".encode(), ()) is not None
    assert split(f"{{{','.join(members)}}}".encode(), ()) is None
    for count, whole in ((MAX_BRACKETS - 1, True), (MAX_BRACKETS, False)):
        # One bracket more is that of the object.
        body = b'{"samples":' + b"[" * count + b"]" * count + b"}"
        assert (split(body, ("samples",)) is not None) == whole


PARTS = st.sampled_from([sample(number) for number in range(3)]) | st.sampled_from(
    [damaged for damaged, _ in DAMAGE.values()]
)


@given(parts=st.lists(PARTS, max_size=8))
@settings(max_examples=150, deadline=None)
def test_any_mixture_of_damage_leaves_good_samples(parts: list[bytes]) -> None:
    good = [place for place, part in enumerate(parts) if part in map(sample, range(3))]
    decoded = decode_batch(batch(*parts))
    assert list(decoded.positions) == good
    assert [bad.position for bad in decoded.rejected] == [
        place for place in range(len(parts)) if place not in good
    ]


@given(body=st.binary(max_size=60), more=st.text('[]{}",:\\ 0a', max_size=30))
@settings(max_examples=500, deadline=None)
def test_no_bytes_break_the_splitting(body: bytes, more: str) -> None:
    for text in (body, more.encode(), batch(body), batch(sample(0), more.encode())):
        try:
            decode_batch(text)
        except InvalidInputError as error:
            assert error.field  # noqa: PT017 - any other error fails the test
