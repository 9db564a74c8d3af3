"""The simulator's messages are valid, and its client retries until they arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from hpcobs.auth.site_tokens import verify
from hpcobs.http.schemas.events import FinishedEvent, StartedEvent
from hpcobs.http.schemas.sync import StateSync
from hpcobs.http.validation import parse_body
from hpcobs.settings import Settings
from hpcobs.wire.batches import decode_batch
from hpcobs_local.simulator import client as clients
from hpcobs_local.simulator.client import Client
from hpcobs_local.simulator.cluster.mock_cluster import MockCluster
from hpcobs_local.simulator.messages import EVENTS, SAMPLES, Message
from hpcobs_local.simulator.recovery import FIRST_JOB_ID, leftovers, next_job_id
from hpcobs_local.simulator.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "s" * 40


def posted(seconds: int) -> list[Message]:
    """Return the messages that a simulated site posts in some time."""
    messages: list[Message] = []
    cluster = MockCluster(seed=1, nodes=8, jobs=12, start=T0, name="lab")
    site = Site(cluster, messages.append, name="lab", start=T0)
    for second in range(0, seconds, 5):
        site.advance(T0 + timedelta(seconds=second))
    return messages


def body(message: Message) -> bytes:
    return msgspec.json.encode(message.body)


def test_all_messages_fit_contract() -> None:
    messages = posted(400)
    kinds = {message.path for message in messages}
    assert kinds == {"/v1/events/job-started", "/v1/events/job-finished", EVENTS, SAMPLES}
    for message in messages:
        if message.path == "/v1/events/job-started":
            assert parse_body(StartedEvent, body(message)).to_event().node == message.node
        elif message.path == "/v1/events/job-finished":
            assert parse_body(FinishedEvent, body(message)).to_event().node == message.node
        elif message.path == EVENTS:
            entries = parse_body(StateSync, body(message)).entries()
            assert not entries.rejected_jobs
            assert not entries.rejected_nodes
        else:
            batch = decode_batch(body(message))
            assert batch.node == message.node
            assert not batch.rejected


def test_history_has_every_sample_once_in_few_batches() -> None:
    messages: list[Message] = []
    cluster = MockCluster(seed=1, nodes=8, jobs=12, start=T0, speed=3, name="lab")
    site = Site(cluster, messages.append, name="lab", start=T0)
    for _ in site.replay_history(T0, T0 + timedelta(hours=1)):
        pass
    batches = [message for message in messages if message.path == SAMPLES]
    assert len(batches) < 50
    keys = [
        (entry["job_id"], entry["timestamp"], message.node)
        for message in batches
        for entry in message.body["samples"]
    ]
    assert len(keys) == len(set(keys)) > 1000


class Responses:
    """A service with prepared responses, 200 after the last. It records requests."""

    def __init__(self, *responses: int | Exception) -> None:
        self.responses = list(responses)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.responses.pop(0) if self.responses else 200
        if isinstance(response, Exception):
            raise response
        return httpx.Response(response, json={})


@pytest.fixture
def client_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[Responses], Client]:
    """Return a function that makes clients of fake services."""
    monkeypatch.setattr(clients, "FIRST_DELAY_SECONDS", 0.0)

    def make(service: Responses) -> Client:
        client = Client("http://service", Settings(auth_secret=SECRET))
        transport = httpx.MockTransport(service)
        client._http = httpx.Client(base_url="http://service", transport=transport)
        return client

    return make


def test_each_sender_has_its_own_token(client_to: Callable[[Responses], Client]) -> None:
    service = Responses()
    client = client_to(service)
    for node in ("n01", None, "n01"):
        client.put(Message(EVENTS, node, {}))
    client.send_waiting()
    tokens = [request.headers["authorization"].split()[1] for request in service.requests]
    principals = [verify(token, SECRET) for token in tokens]
    assert [principal.node for principal in principals] == ["n01", None, "n01"]
    assert principals[0].scopes == {"events:write", "samples:write"}
    assert tokens[0] == tokens[2]


@pytest.mark.parametrize("failure", [500, 503, 429, 401, httpx.ConnectError("refused")])
def test_failed_message_is_resent_in_order(
    failure: int | Exception, client_to: Callable[[Responses], Client]
) -> None:
    service = Responses(202, failure, 202, 202)
    client = client_to(service)
    for path in ("/1", "/2", "/3"):
        client.put(Message(path, None, {}))
    client.send_waiting()
    assert client.waiting == 2
    client.send_waiting()
    assert [request.url.path for request in service.requests] == ["/1", "/2", "/2", "/3"]
    assert client.waiting == 0


def test_rejected_message_is_not_resent(client_to: Callable[[Responses], Client]) -> None:
    service = Responses(400)
    client = client_to(service)
    client.put(Message("/1", None, {}))
    client.send_waiting()
    client.send_waiting()
    assert len(service.requests) == 1


def test_client_pauses_after_failure(
    client_to: Callable[[Responses], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "FIRST_DELAY_SECONDS", 60.0)
    service = Responses(503)
    client = client_to(service)
    client.put(Message("/1", None, {}))
    for _ in range(5):
        client.send_waiting()
    assert len(service.requests) == 1


class FakeClient:
    """Returns pages of jobs from a list."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = list(jobs)

    def get(self, path: str, **query: Any) -> Any:
        assert path == "/v1/jobs"
        state = query.get("state")
        return {"jobs": [job for job in self.jobs if state in (None, job["state"])]}


def job(job_id: str, state: str, kind: str = "mock") -> dict[str, Any]:
    return {
        "id": job_id,
        "user": "ada",
        "state": state,
        "nodes": ["n01"],
        "start_time": "2026-01-01T00:00:00Z",
        "last_sample_at": "2026-01-01T00:05:00Z",
        "restart_count": 0,
        "scheduler": {"type": kind, "external_job_id": job_id},
    }


def test_earlier_jobs_end_as_failed_or_cancelled() -> None:
    client: Any = FakeClient(job("5", "running"), job("6", "pending"), job("7", "completed"))
    ended = leftovers(client, "lab")
    assert {found.job_id: found.raw_state for found in ended} == {
        "5": "NODE_FAIL",
        "6": "CANCELLED",
    }
    assert ended[0].end_time == T0 + timedelta(minutes=5)


def test_real_jobs_are_not_ended() -> None:
    client: Any = FakeClient(job("5", "running", kind="slurm"))
    assert leftovers(client, "lab") == []


def test_next_job_id_is_above_used_ones() -> None:
    busy: Any = FakeClient(job("1500", "completed"), job("x", "running"))
    empty: Any = FakeClient()
    assert next_job_id(busy) == 1501
    assert next_job_id(empty) == FIRST_JOB_ID
