"""Validation of bodies and queries: what is rejected, and the messages."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpcobs.http.errors import InvalidFieldsError, InvalidRequestError
from hpcobs.http.schemas.events import FinishedEvent, StartedEvent
from hpcobs.http.schemas.jobs import JobChanges, NewJob, NewSample
from hpcobs.http.schemas.queries import JobsQuery, SamplesQuery
from hpcobs.http.schemas.sync import SeenJob, SeenNode, StateSync
from hpcobs.http.validation import parse_body, parse_query

if TYPE_CHECKING:
    from hpcobs.domain.errors import DomainError
    from hpcobs.http.schemas.types import Body

JOB: dict[str, Any] = {"id": "1", "user": "ada", "nodes": ["n1"]}
SAMPLE: dict[str, Any] = {
    "timestamp": "2026-11-02T08:00:00Z",
    "cpu_usage": 50,
    "memory_usage_mb": 1024,
}
MODELS: list[type[Body]] = [
    NewJob, JobChanges, NewSample, StartedEvent, FinishedEvent, StateSync, SeenJob, SeenNode,
]  # fmt: skip


def job(**fields: Any) -> NewJob:
    return parse_body(NewJob, json.dumps({**JOB, **fields}).encode())


def sample(**fields: Any) -> NewSample:
    return parse_body(NewSample, json.dumps({**SAMPLE, **fields}).encode())


def fields_of(error: DomainError) -> dict[str, str]:
    errors = error.details["errors"]
    assert isinstance(errors, list)
    return {item["field"]: item["message"] for item in errors}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"x",
        b"{} {}",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'"\\ud800"',
        b"[" * 9999,
    ],
)
def test_broken_json_is_rejected(body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="JSON"):
        parse_body(NewJob, body)


@pytest.mark.parametrize("body", [b"[]", b"5", b"null", b'"text"', b"true"])
def test_body_must_be_an_object(body: bytes) -> None:
    with pytest.raises(InvalidRequestError, match="must be an object"):
        parse_body(NewJob, body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 1),
        ("user", None),
        ("user", ["ada"]),
        ("nodes", 7),
        ("nodes", [1]),
        ("start_time", 1700000000),
        ("start_time", True),
        ("requested_cpus", "4"),
        ("requested_cpus", 1.5),
        ("requested_cpus", True),
        ("gpu_devices", "0"),
        ("scheduler", []),
        ("array_job_id", 5),
    ],
)
def test_wrong_type_names_its_field(field: str, value: object) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        job(**{field: value})
    assert next(iter(fields_of(caught.value))).split("[")[0] == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "x" * 256),
        ("id", "1 2"),
        ("id", "1\n"),
        ("id", "../1"),
        ("id", "1\0"),
        ("user", ""),
        ("user", "x" * 256),
        ("user", "a\0b"),
        ("nodes", []),
        ("nodes", ""),
        ("nodes", ["n1,n2"]),
        ("nodes", ["n\0"]),
        ("nodes", ["n\n1"]),
        ("nodes", ["x" * 256]),
        ("nodes", [f"n{number}" for number in range(20_001)]),
        ("nodes", "n[1-999999999]"),
        ("start_time", "2026-11-02T08:00:00"),
        ("start_time", "2026-11-02"),
        ("start_time", "1700000000"),
        ("start_time", "2026-02-30T08:00:00Z"),
        ("start_time", "0001-01-01T00:00:00+23:59"),
        ("start_time", "9999-12-31T23:59:59-23:59"),
        ("requested_cpus", -1),
        ("requested_cpus", 2**31),
        ("requested_memory_mb", 2**40 + 1),
        ("restart_count", 10**30),
        ("gpu_vendor", "intel"),
        ("name", "a\0b"),
        ("name", "x" * 256),
        ("cluster_name", "a.b"),
        ("cgroup_path", "x" * 4097),
        ("gpu_devices", ["\0"]),
        ("gpu_devices", ["0"] * 1025),
        ("unknown", 1),
        ("scheduler", {"priority": 2**63}),
        ("scheduler", {"exit_code": 2**31}),
        ("scheduler", {"extra": {"a": "\0"}}),
        ("scheduler", {"extra": {"\0": "a"}}),
        ("scheduler", {"extra": {str(number): "" for number in range(101)}}),
        ("scheduler", {"type": "pbs"}),
    ],
)
def test_broken_rule_names_its_field(field: str, value: object) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        job(**{field: value})
    assert next(iter(fields_of(caught.value))).split("[")[0].split(".")[0] == field


@pytest.mark.parametrize("value", [-0.1, 100.1, 200, 1e400])
def test_usage_is_between_0_and_100_percent(value: float) -> None:
    body = json.dumps({**SAMPLE, "cpu_usage": value}).replace("Infinity", "1e400")
    with pytest.raises(InvalidFieldsError, match="cpu_usage"):
        parse_body(NewSample, body.encode())


def test_memory_is_not_negative() -> None:
    with pytest.raises(InvalidFieldsError, match="memory_usage_mb"):
        sample(memory_usage_mb=-1)


def test_every_missing_field_is_named() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        parse_body(NewJob, b"{}")
    assert fields_of(caught.value) == {
        "id": "is required",
        "user": "is required",
        "nodes": "is required",
    }


def test_error_names_place_in_list() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        job(nodes=["n1", 2], scheduler={"extra": {"a": "\0"}})
    assert set(fields_of(caught.value)) == {"nodes[1]", "scheduler.extra.a"}


def test_hostile_body_gets_short_response() -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        job(**{"x" * 500 + str(number): 1 for number in range(500)})
    assert len(json.dumps(caught.value.details)) < 5000
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize("name", ["it's", 'a "b"', "a\\b", "a\nb\tc", "ä 💥", "'; DROP TABLE jobs"])
def test_names_may_hold_special_characters(name: str) -> None:
    assert job(name=name, user=name).name == name


def test_empty_optional_text_counts_as_none() -> None:
    assert job(name="", array_job_id=None).name is None


def test_null_equals_absent_field() -> None:
    assert job(requested_cpus=None, scheduler=None) == job()


def test_repeated_nodes_count_once() -> None:
    assert job(nodes=["n2", "n1", "n2"]).nodes == ("n2", "n1")


def test_compressed_node_list_is_expanded() -> None:
    assert job(nodes="n[01-03]").nodes == ("n01", "n02", "n03")


@pytest.mark.parametrize(
    "text",
    ["2026-11-02T08:00:00Z", "2026-11-02T10:00:00+02:00", "2026-11-02t08:00:00.000000000z"],
)
def test_times_become_utc(text: str) -> None:
    moment = sample(timestamp=text).timestamp
    assert moment is not None
    assert (moment, moment.tzinfo) == (datetime(2026, 11, 2, 8, tzinfo=UTC), UTC)


def test_nanoseconds_are_cut_to_microseconds() -> None:
    moment = sample(timestamp="2026-11-02T08:00:00.123456789Z").timestamp
    assert moment is not None
    assert moment.microsecond == 123456


@pytest.mark.parametrize("model", MODELS)
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
))  # fmt: skip
def test_no_json_breaks_a_model(model: type[Body], value: Any) -> None:
    fields = dict.fromkeys(model.model_fields, value)
    for content in (value, fields):
        with contextlib.suppress(InvalidRequestError, InvalidFieldsError):
            parse_body(model, json.dumps(content).encode())


def test_query_has_its_defaults() -> None:
    query = parse_query(JobsQuery, "")
    assert (query.limit, query.offset, query.position()) == (100, 0, None)
    assert parse_query(SamplesQuery, "").limit == 1000


def test_query_values_are_decoded() -> None:
    query = parse_query(JobsQuery, "user=it%27s%20me&node=n1&q=a+b&state=running&limit=7")
    assert (query.user, query.node, query.q, query.limit) == ("it's me", "n1", "a b", 7)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=1001", "limit=abc", "limit=", "limit=1e2", "offset=-1", "offset=100001",
        "state=done", "user=", "user=%00", "user=" + "x" * 256, "node=a,b", "usr=ada", "cursor=",
        "started_after=2026-11-02", "started_before=2026-11-02T08:00:00",
    ],
)  # fmt: skip
def test_bad_query_is_rejected(query: str) -> None:
    with pytest.raises(InvalidFieldsError, match=query.split("=", maxsplit=1)[0]):
        parse_query(JobsQuery, query)


@pytest.mark.parametrize(
    "query", ["user=a&user=b", "&".join(f"x{number}=1" for number in range(60))]
)
def test_repeated_or_too_many_parameters_are_rejected(query: str) -> None:
    with pytest.raises(InvalidRequestError):
        parse_query(JobsQuery, query)


def test_unescaped_plus_sign_in_time_is_accepted() -> None:
    query = parse_query(JobsQuery, "started_after=2026-11-02T10:00:00+02:00")
    assert query.started_after == datetime(2026, 11, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("", None), ("resolution=raw", None), ("resolution=60", 60)]
)
def test_resolution_is_raw_or_seconds(text: str, seconds: int | None) -> None:
    assert parse_query(SamplesQuery, text).to_query().resolution_seconds == seconds


@pytest.mark.parametrize("text", ["0", "-1", "x", "1.5", "2678401", ""])
def test_other_resolutions_are_rejected(text: str) -> None:
    with pytest.raises(InvalidFieldsError, match="resolution"):
        parse_query(SamplesQuery, f"resolution={text}")


@given(st.text(max_size=60))
def test_no_query_breaks_its_model(query: str) -> None:
    with contextlib.suppress(InvalidRequestError, InvalidFieldsError):
        parse_query(JobsQuery, query)
