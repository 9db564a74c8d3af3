"""Several clusters at one site: who may speak for which, and whose node is whose."""

from __future__ import annotations

from itertools import count, product
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest

from tests.functions.attacks import bearer
from tests.functions.test_samples import batch, entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functions.gateway import Answer, Gateway
    from tests.stores import Query

HOME = "lab"
SPEAKING = "events:write samples:write jobs:write"
_numbers = count(1)


class Who(NamedTuple):
    """A node, or None, and a cluster, or None: of a token, or of a body."""

    node: str | None
    cluster: str | None

    @property
    def claims(self) -> dict[str, str]:
        return {name: value for name, value in self._asdict().items() if value is not None}

    def may_speak_for(self, cluster: str | None) -> bool:
        bound = self.cluster or (HOME if self.node else None)
        return bound in (None, cluster or HOME)


TOKENS = [Who(*pair) for pair in product((None, "n1"), (None, HOME, "b"))]
BODIES = [Who(*pair) for pair in product(("n1", "n2"), (None, HOME, "b"))]


def started(site: Gateway, body: Who, authorization: str) -> Answer:
    return site.post("/v1/events/job-started", start(body), authorization=authorization)


def finished(site: Gateway, body: Who, authorization: str) -> Answer:
    event = start(body)
    site.post("/v1/events/job-started", event)
    end = {name: event[name] for name in event if name in ("job_id", "node", "cluster_name")}
    end |= {"final_state": "failed", "timestamp": event["timestamp"]}
    return site.post("/v1/events/job-finished", end, authorization=authorization)


def synced(site: Gateway, body: Who, authorization: str) -> Answer:
    views = [{"job_id": new_id(), "user": "ada", "state": "RUNNING", "node_list": [body.node]}]
    nodes = [{"node": body.node, "state": "IDLE"}]
    view = {"observed_at": "2026-11-02T08:00:00Z", "jobs": views, "nodes": nodes, **named(body)}
    return site.post("/v1/events/jobs", view, authorization=authorization)


def sampled(site: Gateway, body: Who, authorization: str) -> Answer:
    content = {**batch(entry(), node=str(body.node)), **named(body)}
    return site.post("/v1/samples", content, authorization=authorization)


def created(site: Gateway, body: Who, authorization: str) -> Answer:
    return site.post("/v1/jobs", job(body), authorization=authorization)


def patched(site: Gateway, body: Who, authorization: str) -> Answer:
    path = f"/v1/jobs/{stored(site, body)}"
    return site.send("PATCH", path, json={"cpu_usage": 1}, authorization=authorization)


def measured(site: Gateway, body: Who, authorization: str) -> Answer:
    sample = {"timestamp": "2026-11-02T08:01:00Z", "cpu_usage": 5, "memory_usage_mb": 5}
    path = f"/v1/jobs/{stored(site, body)}/metrics"
    return site.post(path, sample, authorization=authorization)


def deleted(site: Gateway, body: Who, authorization: str) -> Answer:
    return site.send("DELETE", f"/v1/jobs/{stored(site, body)}", authorization=authorization)


SENT = ("nodes", "metric_samples", "sample_queue")
"""The tables that no preparation of a request changes."""
OF_NODES = (started, finished, sampled)
OF_SITES = (synced, created, patched, measured, deleted)


def new_id() -> str:
    return str(next(_numbers))


def named(body: Who) -> dict[str, str]:
    return {"cluster_name": body.cluster} if body.cluster else {}


def start(body: Who) -> dict[str, Any]:
    event = {"job_id": new_id(), "user": "ada", "node_list": [body.node], "node": body.node}
    return {**event, "timestamp": "2026-11-02T08:00:00Z", **named(body)}


def job(body: Who) -> dict[str, Any]:
    return {"id": new_id(), "user": "ada", "nodes": [body.node], **named(body)}


def stored(site: Gateway, body: Who) -> str:
    return str(site.post("/v1/jobs", job(body)).json["id"])


class Traces:
    """What a caller has left in the database."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def of(self, subject: str) -> list[int]:
        """Return the numbers of changes by a token's subject, and of rows sent by anyone."""
        audit = "SELECT count(*) FROM job_audit_events WHERE changed_by = %s"
        sent = (f"SELECT count(*) FROM {table}" for table in SENT)
        rows = [self._connection.execute(audit, [subject]).fetchone()]
        rows += [self._connection.execute(statement.encode()).fetchone() for statement in sent]
        return [row[0] for row in rows if row]


@pytest.mark.parametrize("token", TOKENS, ids=str)
@pytest.mark.parametrize("route", [*OF_NODES, *OF_SITES], ids=lambda route: route.__name__)
def test_token_speaks_for_its_cluster_only(
    shared_site: Gateway, traces: Traces, route: Callable[..., Answer], token: Who
) -> None:
    for body in BODIES:
        by_node = token.node in {None, body.node} if route in OF_NODES else token.node is None
        allowed = by_node and token.may_speak_for(body.cluster)
        subject = f"caller-{new_id()}"
        before = traces.of(subject)
        answer = route(shared_site, body, bearer(SPEAKING, subject=subject, **token.claims))
        assert (answer.status == 403) is not allowed, (body, answer.body)
        assert allowed or (answer.error, traces.of(subject)) == ("forbidden", before)


@pytest.fixture
def traces(module_database_url: str) -> Iterator[Traces]:
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        yield Traces(connection)


def test_forbidden_cluster_is_named(site: Gateway) -> None:
    authorization = bearer("events:write samples:write", node="n1", cluster="b")
    for answer in (
        started(site, Who("n1", None), authorization),
        sampled(site, Who("n1", None), authorization),
    ):
        assert "only speak for cluster b, named in 'cluster_name'" in answer.json["message"]
        assert "the request speaks for lab" in answer.json["message"]


def test_namesake_node_cannot_end_job(site: Gateway) -> None:
    own, others = bearer("events:write", node="n1"), Who("n1", "b")
    start_of_b = start(others)
    site.post("/v1/events/job-started", start_of_b)
    job_id = f"b.{start_of_b['job_id']}"
    end = {"node": "n1", "final_state": "failed", "timestamp": start_of_b["timestamp"]}
    for named_so in ({"job_id": start_of_b["job_id"], "cluster_name": "b"}, {"job_id": job_id}):
        answer = site.post("/v1/events/job-finished", {**end, **named_so}, authorization=own)
        assert (answer.status, answer.error) == (403, "forbidden")
    assert site.get(f"/v1/jobs/{job_id}").json["state"] == "running"


@pytest.mark.parametrize("claims", [{"node": "n1"}, {"cluster": HOME}])
def test_foreign_job_id_is_rejected(site: Gateway, query: Query, claims: dict[str, str]) -> None:
    authorization = bearer(SPEAKING, **claims)
    samples = batch(entry(job_id="b.17"))
    assert site.post("/v1/samples", samples, authorization=authorization).status == 403
    event = {**start(Who("n1", None)), "job_id": "b.17"}
    assert site.post("/v1/events/job-started", event, authorization=authorization).status == 403
    new = {**job(Who("n1", None)), "id": "b.17"}
    assert site.post("/v1/jobs", new, authorization=authorization).status == 403
    view = {"job_id": "b.17", "user": "eve", "state": "RUNNING"}
    body = {"observed_at": event["timestamp"], "jobs": [view]}
    assert site.post("/v1/events/jobs", body, authorization=authorization).status == 403
    assert query("SELECT count(*) FROM jobs") == query("SELECT count(*) FROM sample_queue")


def test_token_of_one_cluster_reads_all(site: Gateway) -> None:
    job_id = stored(site, Who("n1", "b"))
    reader = bearer("jobs:read", cluster=HOME)
    assert site.get(f"/v1/jobs/{job_id}", authorization=reader).status == 200
    assert site.get("/v1/jobs", authorization=reader).json["total"] == 1


def test_node_filter_is_narrowed_by_cluster(site: Gateway) -> None:
    ids = {name: stored(site, Who("n1", name)) for name in (None, "b", "c")}
    stored(site, Who("n2", "b"))

    def found(query: str) -> set[str]:
        page = site.get("/v1/jobs", query=query).json
        assert page["total"] == len(page["jobs"])
        return {job["id"] for job in page["jobs"]}

    assert found("node=n1") == set(ids.values())
    assert found("node=n1&cluster=b") == {ids["b"]}
    assert found(f"node=n1&cluster={HOME}") == {ids[None]}
    assert found("node=n2&cluster=c") == set()


def test_nodes_states_stay_with_their_cluster(site: Gateway, query: Query) -> None:
    for cluster, state in ((None, "IDLE"), ("b", "DOWN"), (HOME, "MIXED"), ("b", "DRAIN")):
        nodes = [{"node": "n1", "state": state}]
        view = {"observed_at": "2026-11-02T08:00:00Z", "jobs": [], "nodes": nodes}
        assert site.post("/v1/events/jobs", {**view, **named(Who(None, cluster))}).status == 200
    found = query("SELECT cluster_name, name, state FROM nodes ORDER BY cluster_name")
    assert found == [("b", "n1", "drain"), (HOME, "n1", "mixed")]
