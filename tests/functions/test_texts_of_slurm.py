"""Slurm's texts that are not UTF-8 cost a character, wherever hooks and forwarders post them."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.http.errors import InvalidFieldsError
from hpcobs.http.schemas.events import FinishedEvent, StartedEvent
from hpcobs.http.schemas.sync import StateSync
from hpcobs.http.validation import parse_slurm_body
from tests.functions.attacks import START

if TYPE_CHECKING:
    from tests.functions.gateway import Gateway

ODD = {
    "latin-1": (b"r\xe9sultat", "r\ufffdsultat"),
    "cut utf-8": (b"r\xc3", "r\ufffd"),
    "utf-16": (b"\xff\xfe", "\ufffd\ufffd"),
    "encoded surrogate": (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
    "half a pair": (b"a\\ud800", "a\ufffd"),
    "wrong pair": (b"\\udc00\\ud800x", "\ufffd\ufffdx"),
    "whole pair": (b"\\ud83d\\ude00\xe9", "\U0001f600\ufffd"),
    "nul": (b"a\\u0000b", "a\ufffdb"),
    "raw control": (b"a\x01\tb", "a\x01\tb"),
    "raw nul": (b"a\x00b", "a\ufffdb"),
}
BATCH_ID = "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c"
SEEN: dict[str, Any] = {"user": "ada", "state": "RUNNING", "node_list": "n1"}
TEXTS = ("name", "account", "partition", "array_task_id")
EVERY = pytest.mark.parametrize(("raw", "expected"), ODD.values(), ids=ODD)


def posted(site: Gateway, path: str, body: Any, raw: bytes, *, packed: bool = False) -> Any:
    content = json.dumps(body).encode().replace(b"MARK", raw)
    headers = {"content-encoding": "gzip"} if packed else {}
    answer = site.post(path, body=gzip.compress(content) if packed else content, headers=headers)
    assert answer.status in (200, 202), answer.body
    return answer.json


@EVERY
@pytest.mark.parametrize("packed", [False, True])
def test_hooks_texts_are_repaired(site: Gateway, raw: bytes, expected: str, packed: bool) -> None:
    body = {**START, **dict.fromkeys(TEXTS, "MARK"), "array_job_id": "1"}
    posted(site, "/v1/events/job-started", body, raw, packed=packed)
    job = site.get("/v1/jobs/500").json
    found = {**job, **job["scheduler"]}
    assert {name: found[name] for name in TEXTS} == dict.fromkeys(TEXTS, expected)
    end = {"job_id": "501", "user": "MARK", "final_state": "failed", "node_list": ["n1"]}
    posted(site, "/v1/events/job-finished", {**end, "timestamp": START["timestamp"]}, raw)
    assert site.get("/v1/jobs/501").json["user"] == expected


@EVERY
def test_controllers_texts_are_repaired(site: Gateway, raw: bytes, expected: str) -> None:
    texts = dict.fromkeys(("name", "account", "qos", "state_reason"), "MARK")
    jobs = [{"job_id": "1", **SEEN, **texts, "extra": {"MARK": "MARK"}}, {"job_id": "2", **SEEN}]
    body = {"observed_at": START["timestamp"], "jobs": jobs}
    results = posted(site, "/v1/events/jobs", body, raw)["results"]
    assert [result["status"] for result in results] == ["created", "created"]
    job = site.get("/v1/jobs/1").json
    assert (job["name"], job["scheduler"]["state_reason"]) == (expected, expected)
    assert job["scheduler"]["extra"] == {expected: expected}


@EVERY
def test_samples_with_odd_texts_are_kept(site: Gateway, raw: bytes, expected: str) -> None:
    sample = {"timestamp": START["timestamp"], "cpu_usage": 5, "memory_usage_mb": 5}
    gpus = [{"gpu_id": "MARK", "gpu_vendor": "nvidia"}]
    body = {
        "node": "n1",
        "batch_id": BATCH_ID,
        "samples": [
            {"job_id": "1", **sample},
            {"job_id": "1", **sample, "cpu_usage": 101},
            {"job_id": "2", **sample, "gpus": gpus},
        ],
    }
    answer = posted(site, "/v1/samples", body, raw)
    # A GPU's id is a label of Prometheus, and may have no control character.
    rejected = [1] if expected.isprintable() else [1, 2]
    assert [one["position"] for one in answer["rejected"]] == rejected
    assert answer["accepted"] == 3 - len(rejected)


@pytest.mark.parametrize("reason", ["None", ""])
def test_no_reason_is_left_out(site: Gateway, reason: str) -> None:
    jobs = [{"job_id": "1", **SEEN, "state_reason": reason}]
    site.post("/v1/events/jobs", {"observed_at": START["timestamp"], "jobs": jobs})
    site.post(
        "/v1/jobs",
        {"id": "2", "user": "ada", "nodes": ["n1"], "scheduler": {"state_reason": reason}},
    )
    for job_id in ("1", "2"):
        assert "state_reason" not in site.get(f"/v1/jobs/{job_id}").json["scheduler"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b'{"a": NaN}', b'{"a": "\xe9"', b"[" * 50_000 + b"\xe9", b"1\xe9"]
)
def test_body_without_json_is_still_rejected(shared_site: Gateway, body: bytes) -> None:
    for path in ("/v1/events/job-started", "/v1/events/job-finished", "/v1/events/jobs"):
        answer = shared_site.post(path, body=body)
        assert (answer.status, answer.error) == (400, "invalid_request")


@given(st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_in_name_keep_the_rest(raw: bytes) -> None:
    plain = raw.replace(b'"', b"").replace(b"\\", b"")
    body = json.dumps({**START, "name": "MARK"}).encode().replace(b"MARK", plain)
    event = parse_slurm_body(StartedEvent, body).to_event()
    assert (event.job_id, event.user, event.nodes) == ("500", "ada", ("n1",))
    assert "\0" not in (event.name or "")
    (event.name or "").encode()


@pytest.mark.parametrize("model", [StartedEvent, FinishedEvent, StateSync])
def test_unknown_field_is_rejected_after_repair(model: Any) -> None:
    with pytest.raises(InvalidFieldsError) as caught:
        parse_slurm_body(model, b'{"typo": "\xe9"}')
    assert "typo" in str(caught.value.details["errors"])


@pytest.mark.parametrize("raw", [raw for raw, _ in ODD.values()], ids=ODD)
def test_odd_name_is_no_node(shared_site: Gateway, raw: bytes) -> None:
    for path, body in (
        ("/v1/events/job-started", {**START, "node_list": ["MARK"]}),
        ("/v1/samples", {"node": "MARK", "batch_id": BATCH_ID, "samples": []}),
    ):
        content = json.dumps(body).encode().replace(b"MARK", raw)
        assert shared_site.post(path, body=content).status == 400
