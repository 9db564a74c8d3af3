"""The samples route: batches on their way to the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.functions.gateway import Gateway, token

if TYPE_CHECKING:
    from tests.stores import Query

BATCH_ID = "6f1d9d8e-3c1a-4a3b-9c39-0f4d7f0a1b2c"
NODE = f"Bearer {token('samples:write', node='n1')}"


def entry(**fields: Any) -> dict[str, Any]:
    return {
        "job_id": "1",
        "timestamp": "2026-11-02T08:00:00Z",
        "cpu_usage": 50,
        "memory_usage_mb": 7,
        **fields,
    }


def batch(*samples: Any, node: str = "n1") -> dict[str, Any]:
    return {"node": node, "batch_id": BATCH_ID, "samples": list(samples)}


def test_batch_is_queued(site: Gateway, query: Query) -> None:
    answer = site.post("/v1/samples", batch(entry()))
    assert answer.status == 202
    assert answer.json == {
        "status": "queued",
        "batch_id": BATCH_ID,
        "accepted": 1,
        "rejected": [],
    }
    assert query("SELECT count(*) FROM sample_queue") == [(1,)]


def test_bad_sample_is_reported_alone(site: Gateway) -> None:
    answer = site.post("/v1/samples", batch(entry(), entry(cpu_usage=200), entry(job_id="2")))
    assert (answer.status, answer.json["accepted"]) == (202, 2)
    (rejected,) = answer.json["rejected"]
    assert rejected["position"] == 1
    assert "cpu_usage" in rejected["message"]


def test_node_sends_its_own_samples_only(site: Gateway) -> None:
    assert site.post("/v1/samples", batch(entry()), authorization=NODE).status == 202
    answer = site.post("/v1/samples", batch(entry(), node="n2"), authorization=NODE)
    assert (answer.status, answer.error) == (403, "forbidden")
