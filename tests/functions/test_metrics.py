"""The scrape: its formats, its groups and shards, and its errors."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from hpcobs import bootstrap

if TYPE_CHECKING:
    from tests.functions.gateway import Gateway
    from tests.stores import Query

GZIP = {"accept-encoding": "gzip"}

# Names that no compression can shrink much.
LARGE = """
ALTER TABLE jobs DISABLE TRIGGER USER;
INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time)
SELECT n::text, sha512(n::text::bytea)::text, 'n', 1, 'running', now()
FROM generate_series(1, 20000) AS n;
INSERT INTO job_nodes (job_id, node, start_time, cpu_usage, memory_usage_mb)
SELECT id, 'n', start_time, random(), 1 FROM jobs
"""


@pytest.fixture
def running(site: Gateway) -> Gateway:
    site.post("/v1/jobs", {"id": "1", "user": "ada", "nodes": ["n1"]})
    sample = {"timestamp": datetime.now(UTC).isoformat(), "cpu_usage": 50, "memory_usage_mb": 7}
    site.post("/v1/jobs/1/metrics", sample)
    return site


def scraped(gateway: Gateway, family: str) -> dict[str, float]:
    """Return the samples of a family in a scrape, by node."""
    families = prometheus(gateway.get("/metrics").body.decode())
    samples = [sample for found in families for sample in found.samples if sample.name == family]
    return {sample.labels["node"]: sample.value for sample in samples}


def test_prometheus_text_is_the_default(running: Gateway) -> None:
    answer = running.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "content-encoding" not in answer.headers
    names = {family.name for family in prometheus(answer.body.decode())}
    assert {"hpc_job_cpu_usage_percent", "hpc_job_state_total"} <= names


def test_openmetrics_is_served_on_request(running: Gateway) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = running.get("/metrics", headers={"accept": accept, **GZIP})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.headers["content-encoding"] == "gzip"
    assert list(openmetrics(answer.body.decode()))


def test_scrape_of_groups_and_shard(running: Gateway) -> None:
    answer = running.get("/metrics", query="collect%5B%5D=nodes&collect[]=gpus&shard=0/1")
    assert b"hpc_node_job_count{" in answer.body
    assert b"hpc_job_cpu_usage_percent{" not in answer.body


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("collect[]=nodes&collect[]=nope", "collect[]"),
        ("shard=4/4", "shard"),
        ("shard=0/2&shard=1/2", "shard"),
        ("collect=nodes", "collect"),
        ("shards=0/2", "shards"),
    ],
)
def test_bad_scrape_parameter_is_named(running: Gateway, query: str, field: str) -> None:
    answer = running.get("/metrics", query=query)
    assert (answer.status, answer.error) == (400, "validation_error")
    assert answer.json["details"]["errors"][0]["field"] == field


def test_too_large_scrape_suggests_shards(site: Gateway, query: Query) -> None:
    query(LARGE)
    whole = site.get("/metrics", headers=GZIP)
    assert (whole.status, whole.error) == (400, "invalid_request")
    assert "shard=0/4" in whole.json["message"]
    assert "collect[]" in whole.json["message"]
    assert site.get("/metrics", query="shard=0/4", headers=GZIP).status == 200


def test_scrape_without_database_is_503(site: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.reset()
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    answer = site.get("/metrics", headers={"accept": "text/plain;version=0.0.4"})
    assert (answer.status, answer.error) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert answer.headers["content-type"] == "application/json"


def test_patched_usage_is_scraped(site: Gateway) -> None:
    site.post("/v1/jobs", {"id": "1", "user": "ada", "nodes": ["n1", "n2"]})
    usage = {"cpu_usage": 75.5, "memory_usage_mb": 100, "gpu_usage": 20}
    assert site.send("PATCH", "/v1/jobs/1", json=usage).status == 200
    assert scraped(site, "hpc_job_cpu_usage_percent") == {"n1": 75.5, "n2": 75.5}
    assert scraped(site, "hpc_job_gpu_usage_percent") == {"n1": 20, "n2": 20}
    assert scraped(site, "hpc_job_memory_usage_bytes") == {"n1": 50 << 20, "n2": 50 << 20}
    assert scraped(site, "hpc_node_memory_usage_bytes") == {"n1": 50 << 20, "n2": 50 << 20}


def test_sample_replaces_patched_usage(running: Gateway) -> None:
    running.send("PATCH", "/v1/jobs/1", json={"cpu_usage": 10})
    assert scraped(running, "hpc_job_cpu_usage_percent") == {"n1": 10}
    assert scraped(running, "hpc_job_memory_usage_bytes") == {"n1": 7 << 20}
    sample = {"timestamp": datetime.now(UTC).isoformat(), "cpu_usage": 60, "memory_usage_mb": 8}
    running.post("/v1/jobs/1/metrics", sample)
    assert scraped(running, "hpc_job_cpu_usage_percent") == {"n1": 60}
