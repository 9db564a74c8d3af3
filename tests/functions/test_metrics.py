"""The scrape: whose turn it is, and in which format."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

if TYPE_CHECKING:
    from tests.functions.gateway import Gateway


@pytest.fixture
def running(site: Gateway) -> Gateway:
    site.post("/v1/jobs", {"id": "1", "user": "ada", "nodes": ["n1"]})
    sample = {"timestamp": datetime.now(UTC).isoformat(), "cpu_usage": 50, "memory_usage_mb": 7}
    site.post("/v1/jobs/1/metrics", sample)
    return site


def test_prometheus_text_is_the_default(running: Gateway) -> None:
    answer = running.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    names = {family.name for family in prometheus(answer.body.decode())}
    assert {"hpc_job_cpu_usage_percent", "hpc_job_state_total"} <= names


def test_openmetrics_is_served_to_those_who_ask(running: Gateway) -> None:
    accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
    answer = running.get("/metrics", headers={"accept": accept, "accept-encoding": "gzip"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert list(openmetrics(answer.body.decode()))


def test_a_scrape_may_ask_for_a_part(running: Gateway) -> None:
    answer = running.get("/metrics", query="collect[]=nodes")
    assert b"hpc_job_cpu_usage_percent{" not in answer.body
    unknown = running.get("/metrics", query="collect[]=nodes&collect[]=nope")
    assert (unknown.status, unknown.error) == (400, "validation_error")
