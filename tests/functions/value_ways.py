"""Ways to send a value of each type: every route that has a field of the type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functions.gateway import Answer, Gateway

T = "2026-11-02T08:00:00Z"


@dataclass(frozen=True)
class Way:
    """A route with a field of the type, and how to read what it stored."""

    send: Callable[[Gateway, str], Answer]
    stored: str = ""
    field: str = "timestamp"
    null: bool = False
    """Whether null counts as absent."""


def raw(given: dict[str, Any], **literals: str) -> str:
    """Return the JSON of a body in which some fields are literals."""
    body = json.dumps({**given, **dict.fromkeys(literals, None)})
    for name, literal in literals.items():
        body = body.replace(f'"{name}": null', f'"{name}": {literal}')
    return body


SAMPLE: dict[str, Any] = {"timestamp": T, "cpu_usage": 5, "memory_usage_mb": 5}


def batch(site: Gateway, node: str = '"n1"', cluster: str = '"lab"', **literals: str) -> Answer:
    sample = raw({"job_id": "1", **SAMPLE}, **literals)
    body = (
        f'{{"node": {node}, "batch_id": "{uuid4()}", "cluster_name": {cluster},'
        f' "samples": [{sample}]}}'
    )
    return site.send("POST", "/v1/samples", body=body)


def single(site: Gateway, **literals: str) -> Answer:
    body = raw({"node": "n1", **SAMPLE}, **literals)
    return site.send("POST", "/v1/jobs/1/metrics", body=body)


def started(site: Gateway, **literals: str) -> Answer:
    given = {"job_id": "2", "user": "ada", "node_list": ["n1"], "timestamp": T}
    return site.send("POST", "/v1/events/job-started", body=raw(given, **literals))


def finished(site: Gateway, **literals: str) -> Answer:
    given = {
        "job_id": "2", "user": "ada", "node_list": ["n1"], "timestamp": T, "final_state": "failed"
    }  # fmt: skip
    return site.send("POST", "/v1/events/job-finished", body=raw(given, **literals))


def added(site: Gateway, **literals: str) -> Answer:
    given = {"id": "2", "user": "ada", "nodes": ["n1"]}
    return site.send("POST", "/v1/jobs", body=raw(given, **literals))


def patched(site: Gateway, **literals: str) -> Answer:
    return site.send("PATCH", "/v1/jobs/1", body=raw({}, **literals))


def seen_job(site: Gateway, **literals: str) -> Answer:
    job = raw({"job_id": "2", "user": "ada", "state": "RUNNING", "node_list": ["n1"]}, **literals)
    body = f'{{"observed_at": "{T}", "jobs": [{job}]}}'
    return site.send("POST", "/v1/events/jobs", body=body)


def seen_node(site: Gateway, **literals: str) -> Answer:
    node = raw({"node": "n1", "state": "IDLE"}, **literals)
    body = f'{{"observed_at": "{T}", "jobs": [], "nodes": [{node}]}}'
    return site.send("POST", "/v1/events/jobs", body=body)


def observed(site: Gateway, **literals: str) -> Answer:
    return site.send("POST", "/v1/events/jobs", body=raw({"jobs": []}, **literals))


def asked(path: str, name: str) -> Callable[[Gateway, str], Answer]:
    return lambda site, literal: site.get(path, query=f"{name}={quote(json.loads(literal))}")


SAMPLED_AT = 'SELECT "timestamp" FROM metric_samples'
STARTED_AT = "SELECT start_time FROM jobs WHERE id = '2'"
TIME_WAYS = {
    "batch": Way(lambda site, text: batch(site, timestamp=text), SAMPLED_AT),
    "sample": Way(lambda site, text: single(site, timestamp=text), SAMPLED_AT, null=True),
    "start": Way(lambda site, text: started(site, timestamp=text), STARTED_AT),
    "end": Way(
        lambda site, text: finished(site, timestamp=text), "SELECT end_time FROM jobs WHERE id='2'"
    ),
    "new job": Way(
        lambda site, text: added(site, start_time=text), STARTED_AT, "start_time", null=True
    ),
    "sync job": Way(
        lambda site, text: seen_job(site, start_time=text), STARTED_AT, "start_time", null=True
    ),
    "sync": Way(lambda site, text: observed(site, observed_at=text), field="observed_at"),
    "jobs query": Way(asked("/v1/jobs", "started_after"), field="started_after"),
    "series query": Way(asked("/v1/jobs/1/metrics", "start_time"), field="start_time"),
    "gpus query": Way(asked("/v1/jobs/1/gpus", "end_time"), field="end_time"),
}
NAME_WAYS = {
    "batch": Way(
        lambda site, text: batch(site, node=text), "SELECT node FROM metric_samples", "node"
    ),
    "sample": Way(
        lambda site, text: single(site, node=text),
        "SELECT node FROM metric_samples",
        "node",
        null=True,
    ),
    "start": Way(
        lambda site, text: started(site, node_list=f"[{text}]"),
        "SELECT node FROM job_nodes WHERE job_id = '2'",
        "node",
    ),
    "end": Way(
        lambda site, text: finished(site, node_list=f"[{text}]"),
        "SELECT node FROM job_nodes WHERE job_id = '2'",
        "node",
    ),
    "sender": Way(lambda site, text: started(site, node=text), field="node", null=True),
    "new job": Way(
        lambda site, text: added(site, nodes=f"[{text}]"),
        "SELECT node FROM job_nodes WHERE job_id = '2'",
        "node",
    ),
    "sync job": Way(
        lambda site, text: seen_job(site, node_list=f"[{text}]"),
        "SELECT node FROM job_nodes WHERE job_id = '2'",
        "node",
    ),
    "sync node": Way(
        lambda site, text: seen_node(site, node=text), "SELECT name FROM nodes", "node"
    ),
    "jobs query": Way(asked("/v1/jobs", "node"), field="node"),
    "series query": Way(asked("/v1/jobs/1/metrics", "node"), field="node"),
}
JOB_ID_WAYS = {
    "batch": Way(lambda site, text: batch(site, job_id=text), field="id"),
    "start": Way(lambda site, text: started(site, job_id=text), field="id"),
    "end": Way(lambda site, text: finished(site, job_id=text), field="id"),
    "new job": Way(lambda site, text: added(site, id=text), field="id"),
    "sync job": Way(lambda site, text: seen_job(site, job_id=text), field="id"),
}
PERCENT_WAYS = {
    "batch": Way(
        lambda site, text: batch(site, cpu_usage=text),
        "SELECT cpu_usage FROM metric_samples",
        "cpu_usage",
    ),
    "sample": Way(
        lambda site, text: single(site, cpu_usage=text),
        "SELECT cpu_usage FROM metric_samples",
        "cpu_usage",
    ),
    "change": Way(
        lambda site, text: patched(site, cpu_usage=text),
        "SELECT cpu_usage FROM jobs WHERE id='1'",
        "cpu_usage",
    ),
}
MEMORY_WAYS = {
    "batch": Way(
        lambda site, text: batch(site, memory_usage_mb=text),
        "SELECT memory_usage_mb FROM metric_samples",
        "memory",
    ),
    "sample": Way(
        lambda site, text: single(site, memory_usage_mb=text),
        "SELECT memory_usage_mb FROM metric_samples",
        "memory",
    ),
    "change": Way(
        lambda site, text: patched(site, memory_usage_mb=text),
        "SELECT memory_usage_mb FROM jobs WHERE id = '1'",
        "memory",
    ),
    "start": Way(
        lambda site, text: started(site, memory_allocation_mb=text),
        "SELECT allocated_memory_mb FROM jobs WHERE id = '2'",
        "memory",
    ),
    "new job": Way(
        lambda site, text: added(site, requested_memory_mb=text),
        "SELECT requested_memory_mb FROM jobs WHERE id = '2'",
        "memory",
    ),
    "sync job": Way(
        lambda site, text: seen_job(site, allocated_memory_mb=text),
        "SELECT allocated_memory_mb FROM jobs WHERE id = '2'",
        "memory",
    ),
    "sync node": Way(
        lambda site, text: seen_node(site, memory_total_mb=text),
        "SELECT memory_total_mb FROM nodes",
        "memory",
    ),
}
