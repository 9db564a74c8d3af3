"""Bad input: each kind gets its own 4xx, never a 5xx, and nothing is written."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.http.routes import ROUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpcobs.http.routes import Route
    from tests.functions.gateway import Answer, Gateway

BATCH_ID = "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c"
TIME = "2026-11-02T08:00:00Z"

GOOD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "new job": (
        "POST",
        "/v1/jobs",
        {"id": "1", "user": "ada", "nodes": ["n1"], "start_time": TIME, "name": "heat"},
    ),
    "changes": ("PATCH", "/v1/jobs/1", {"state": "failed", "cpu_usage": 5}),
    "sample": (
        "POST",
        "/v1/jobs/1/metrics",
        {"timestamp": TIME, "cpu_usage": 5, "memory_usage_mb": 5, "gpu_usage": 5, "node": "n1"},
    ),
    "start": (
        "POST",
        "/v1/events/job-started",
        {"job_id": "1", "user": "ada", "node_list": ["n1"], "timestamp": TIME, "account": "a"},
    ),
    "end": (
        "POST",
        "/v1/events/job-finished",
        {"job_id": "1", "final_state": "failed", "timestamp": TIME, "user": "a", "node": "n1"},
    ),
    "sync": ("POST", "/v1/events/jobs", {"observed_at": TIME, "jobs": [], "cluster_name": "lab"}),
    "batch": (
        "POST",
        "/v1/samples",
        {"node": "n1", "batch_id": BATCH_ID, "samples": [], "cluster_name": "lab"},
    ),
}
EVERY = pytest.mark.parametrize("kind", GOOD)


@pytest.fixture(autouse=True)
def nothing_written(content: Callable[[], dict[str, int]]) -> Iterator[None]:
    yield
    assert set(content().values()) == {0}


def send(site: Gateway, kind: str, **options: Any) -> Answer:
    method, path, _ = GOOD[kind]
    return site.send(method, path, **options)


def rejection_message(answer: Answer, status: int, error: str) -> str:
    assert (answer.status, answer.error) == (status, error), answer.body
    return str(answer.json["message"])


@EVERY
@pytest.mark.parametrize("body", ["", "{", "nope", "{} {}", '{"a": NaN}', '"\ud800"', "[" * 50_000])
def test_broken_json_is_rejected(shared_site: Gateway, kind: str, body: str) -> None:
    answer = send(shared_site, kind, body=body)
    if (
        kind == "batch" or "\ud800" in body
    ):  # repaired, or read field by field: another fault may be found
        assert answer.status == 400
        return
    assert "JSON" in rejection_message(answer, 400, "invalid_request")


@EVERY
@pytest.mark.parametrize("body", ["[]", "5", "null", "true", '"text"', "[{}]"])
def test_json_without_object_is_rejected(shared_site: Gateway, kind: str, body: str) -> None:
    rejection_message(send(shared_site, kind, body=body), 400, "invalid_request")


@EVERY
def test_bytes_without_encoding_is_rejected(shared_site: Gateway, kind: str) -> None:
    rejection_message(send(shared_site, kind, body=b"\xff\xfe\x00"), 400, "invalid_request")


@EVERY
def test_unknown_field_is_rejected(shared_site: Gateway, kind: str) -> None:
    body = {**GOOD[kind][2], "typo": 1}
    assert "typo" in rejection_message(send(shared_site, kind, json=body), 400, "validation_error")


@EVERY
def test_gzip_bomb_is_rejected(shared_site: Gateway, kind: str) -> None:
    bomb = gzip.compress(b'{"a": "' + bytes(100_000_000))
    answer = send(shared_site, kind, body=bomb, headers={"content-encoding": "gzip"})
    rejection_message(answer, 413, "payload_too_large")


@EVERY
def test_body_over_ten_megabytes_is_rejected(shared_site: Gateway, kind: str) -> None:
    body = json.dumps({"x" * 100 + str(number): number for number in range(84_000)})
    assert 9_500_000 < len(body) < 10 * 1024 * 1024
    assert send(shared_site, kind, body=body).status == 400
    answer = send(shared_site, kind, body=body + " " * 1_000_000)
    rejection_message(answer, 413, "payload_too_large")


@EVERY
def test_wrong_coding_or_content_type_is_rejected(shared_site: Gateway, kind: str) -> None:
    answer = send(shared_site, kind, body=b"{}", headers={"content-encoding": "gzip"})
    assert "gzip" in rejection_message(answer, 400, "invalid_request")
    answer = send(shared_site, kind, body=b"{}", headers={"content-encoding": "br"})
    rejection_message(answer, 415, "unsupported_media_type")
    answer = send(shared_site, kind, body="a=b", headers={"content-type": "text/plain"})
    rejection_message(answer, 415, "unsupported_media_type")


FIELDS = [(kind, field) for kind, (_, _, body) in GOOD.items() for field in body]
TEXTS = [(kind, field) for kind, field in FIELDS if isinstance(GOOD[kind][2][field], str)]
TIMES = [(kind, field) for kind, field in TEXTS if GOOD[kind][2][field] == TIME]
LISTS = [(kind, field) for kind, field in FIELDS if isinstance(GOOD[kind][2][field], list)]
NUMBERS = [(kind, field) for kind, field in FIELDS if isinstance(GOOD[kind][2][field], int)]


def assert_field_rejected(site: Gateway, kind: str, field: str, value: object) -> Answer:
    body = {**GOOD[kind][2], field: value}
    answer = send(site, kind, json=body)
    assert answer.status == 400, answer.body
    assert answer.error in ("validation_error", "invalid_request")
    assert field in answer.json["message"]
    return answer


@pytest.mark.parametrize(("kind", "field"), FIELDS)
def test_value_of_wrong_type_is_rejected(shared_site: Gateway, kind: str, field: str) -> None:
    for value in ({"a": 1}, True):
        assert_field_rejected(shared_site, kind, field, value)


@pytest.mark.parametrize(("kind", "field"), TEXTS)
def test_number_instead_of_text_is_rejected(shared_site: Gateway, kind: str, field: str) -> None:
    assert_field_rejected(shared_site, kind, field, 5)


# In Slurm's own texts it is replaced: a name must not cost its job.
REPLACED = {("start", "user"), ("start", "account"), ("end", "user")}


@pytest.mark.parametrize(("kind", "field"), sorted({*TEXTS} - REPLACED))
def test_nul_in_text_is_rejected(shared_site: Gateway, kind: str, field: str) -> None:
    assert_field_rejected(shared_site, kind, field, "a\0b")


@pytest.mark.parametrize(("kind", "field"), TEXTS)
def test_text_of_256_characters_is_rejected(shared_site: Gateway, kind: str, field: str) -> None:
    assert_field_rejected(shared_site, kind, field, "x" * 256)


@pytest.mark.parametrize(("kind", "field"), TIMES)
@pytest.mark.parametrize(
    "value",
    [
        "2026-11-02T08:00:00",
        "2026-11-02",
        "now",
        "1700000000",
        "2026-13-01T00:00:00Z",
        "2026-11-02T08:00:00+05:60",
    ],
)
def test_time_without_zone_or_invalid_is_rejected(
    shared_site: Gateway, kind: str, field: str, value: str
) -> None:
    assert_field_rejected(shared_site, kind, field, value)


@pytest.mark.parametrize(("kind", "field"), LISTS)
def test_number_instead_of_list_is_rejected(shared_site: Gateway, kind: str, field: str) -> None:
    assert_field_rejected(shared_site, kind, field, 7)


@pytest.mark.parametrize(("kind", "field"), NUMBERS)
@pytest.mark.parametrize("value", [-1, -0.5, "5", 10**30])
def test_number_out_of_bounds_is_rejected(
    shared_site: Gateway, kind: str, field: str, value: object
) -> None:
    assert_field_rejected(shared_site, kind, field, value)


@pytest.mark.parametrize(("kind", "field"), [pair for pair in NUMBERS if "mb" not in pair[1]])
def test_200_percent_is_rejected(shared_site: Gateway, kind: str, field: str) -> None:
    assert_field_rejected(shared_site, kind, field, 200)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(("kind", "field"), NUMBERS)
def test_numbers_outside_json_are_rejected(
    shared_site: Gateway, kind: str, field: str, number: str
) -> None:
    body = json.dumps({**GOOD[kind][2], field: "HERE"}).replace('"HERE"', number)
    assert send(shared_site, kind, body=body).status == 400


@pytest.mark.parametrize("node_list", ["n[1-999999999]", "n[1-2", "n1;n2", "@all", ["n1,n2"], [""]])
@pytest.mark.parametrize(("kind", "field"), [("new job", "nodes"), ("start", "node_list")])
def test_malformed_node_lists_are_rejected(
    shared_site: Gateway, kind: str, field: str, node_list: object
) -> None:
    assert_field_rejected(shared_site, kind, field, node_list)


@pytest.mark.parametrize("job_id", ["x" * 321, "1%00", "1'", "1%0A", "%F0%9F%92%A5", "..", "a%2Fb"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_malformed_ids_in_path_are_rejected(shared_site: Gateway, method: str, job_id: str) -> None:
    rejection_message(shared_site.send(method, f"/v1/jobs/{job_id}"), 400, "validation_error")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "usr=a", "state=done", "user=%00", "cursor=x", "started_after=now"],
)
def test_malformed_queries_are_rejected(shared_site: Gateway, query: str) -> None:
    rejection_message(shared_site.get("/v1/jobs", query=query), 400, "validation_error")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.scope], ids=lambda it: it.key)
def test_unknown_query_parameter_is_rejected(shared_site: Gateway, route: Route) -> None:
    path = route.path.replace("{jobId}", "1")
    answer = shared_site.send(route.method, path, query="dry_run=true")
    assert "dry_run" in rejection_message(answer, 400, "validation_error")


def test_repeated_query_parameter_is_rejected(shared_site: Gateway) -> None:
    rejection_message(shared_site.get("/v1/jobs", query="user=a&user=b"), 400, "invalid_request")


@pytest.mark.parametrize("value", ["x" * 256, "a\0", "a\nb"])
def test_unprintable_audit_header_is_rejected(shared_site: Gateway, value: str) -> None:
    answer = shared_site.post("/v1/jobs", GOOD["new job"][2], headers={"x-changed-by": value})
    rejection_message(answer, 400, "validation_error")


def test_bad_correlation_id_is_replaced(shared_site: Gateway) -> None:
    answer = shared_site.get("/v1/jobs", headers={"x-correlation-id": "a\0b"})
    assert answer.status == 200
    assert len(answer.headers["x-correlation-id"]) == 36


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=6,
)


@EVERY
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_body_causes_a_5xx(shared_site: Gateway, kind: str, data: st.DataObject) -> None:
    good = GOOD[kind][2]
    changed = data.draw(st.dictionaries(st.sampled_from(sorted(good)), ANYTHING, min_size=1))
    body = {**good, **changed, "user": "", "unknown": data.draw(ANYTHING)}
    assert 400 <= send(shared_site, kind, json=body).status < 500


@EVERY
@given(body=st.binary(max_size=200), coding=st.sampled_from(["", "gzip"]))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_bytes_cause_a_5xx(shared_site: Gateway, kind: str, body: bytes, coding: str) -> None:
    answer = send(shared_site, kind, body=body, headers={"content-encoding": coding})
    assert 400 <= answer.status < 500
