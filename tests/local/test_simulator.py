"""What the simulator posts is what the contract takes, and it keeps at it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest

from hpcobs.auth.tokens import verify
from hpcobs.http.models.events import FinishedEvent, StartedEvent
from hpcobs.http.models.sync import StateSync
from hpcobs.http.state_sync import sorted_out
from hpcobs.http.validation import parse_body
from hpcobs.scheduler.mock.cluster import MockCluster
from hpcobs.settings import Settings
from hpcobs.wire.batches import decode_batch
from hpcobs_local.simulator import courier as couriers
from hpcobs_local.simulator.courier import Courier
from hpcobs_local.simulator.earlier import FIRST_JOB_ID, leftovers, next_job_id
from hpcobs_local.simulator.life import Site
from hpcobs_local.simulator.messages import EVENTS, SAMPLES, Message

if TYPE_CHECKING:
    from collections.abc import Callable

T0 = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "s" * 40


def posted(seconds: int) -> list[Message]:
    """All that a simulated site posts within some time."""
    messages: list[Message] = []
    cluster = MockCluster(seed=1, nodes=8, jobs=12, start=T0, name="lab")
    site = Site(cluster, messages.append, name="lab", start=T0)
    for second in range(0, seconds, 5):
        site.live_on(T0 + timedelta(seconds=second))
    return messages


def body(message: Message) -> bytes:
    return msgspec.json.encode(message.body)


def test_all_that_is_posted_is_what_the_contract_takes() -> None:
    messages = posted(400)
    kinds = {message.path for message in messages}
    assert kinds == {"/v1/events/job-started", "/v1/events/job-finished", EVENTS, SAMPLES}
    for message in messages:
        if message.path == "/v1/events/job-started":
            assert parse_body(StartedEvent, body(message)).to_event().node == message.node
        elif message.path == "/v1/events/job-finished":
            assert parse_body(FinishedEvent, body(message)).to_event().node == message.node
        elif message.path == EVENTS:
            seen = sorted_out(parse_body(StateSync, body(message)))
            assert not seen.failed
            assert not seen.rejected_nodes
        else:
            batch = decode_batch(body(message))
            assert batch.node == message.node
            assert not batch.rejected


def test_a_past_is_posted_in_few_batches_with_every_sample_once() -> None:
    messages: list[Message] = []
    cluster = MockCluster(seed=1, nodes=8, jobs=12, start=T0, speed=3, name="lab")
    site = Site(cluster, messages.append, name="lab", start=T0)
    for _ in site.live_through(T0, T0 + timedelta(hours=1)):
        pass
    batches = [message for message in messages if message.path == SAMPLES]
    assert len(batches) < 50
    keys = [
        (entry["job_id"], entry["timestamp"], message.node)
        for message in batches
        for entry in message.body["samples"]
    ]
    assert len(keys) == len(set(keys)) > 1000


class Answers:
    """A service that answers as it is told to, and remembers what came."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={})


@pytest.fixture
def courier_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[Answers], Courier]:
    """Couriers to services that are not there."""
    monkeypatch.setattr(couriers, "FIRST_DELAY_SECONDS", 0.0)

    def make(service: Answers) -> Courier:
        courier = Courier("http://service", Settings(auth_secret=SECRET))
        transport = httpx.MockTransport(service)
        courier._client = httpx.Client(base_url="http://service", transport=transport)
        return courier

    return make


def test_each_sender_has_a_token_of_its_own(courier_to: Callable[[Answers], Courier]) -> None:
    service = Answers()
    courier = courier_to(service)
    for node in ("n01", None, "n01"):
        courier.put(Message(EVENTS, node, {}))
    courier.deliver()
    tokens = [request.headers["authorization"].split()[1] for request in service.requests]
    principals = [verify(token, SECRET) for token in tokens]
    assert [principal.node for principal in principals] == ["n01", None, "n01"]
    assert principals[0].scopes == {"events:write", "samples:write"}
    assert tokens[0] == tokens[2]


@pytest.mark.parametrize("trouble", [500, 503, 429, 401, httpx.ConnectError("refused")])
def test_after_a_trouble_the_same_message_is_sent_again_in_its_place(
    trouble: int | Exception, courier_to: Callable[[Answers], Courier]
) -> None:
    service = Answers(202, trouble, 202, 202)
    courier = courier_to(service)
    for path in ("/1", "/2", "/3"):
        courier.put(Message(path, None, {}))
    courier.deliver()
    assert courier.waiting == 2
    courier.deliver()
    assert [request.url.path for request in service.requests] == ["/1", "/2", "/2", "/3"]
    assert courier.waiting == 0


def test_a_refused_message_is_not_sent_again(courier_to: Callable[[Answers], Courier]) -> None:
    service = Answers(400)
    courier = courier_to(service)
    courier.put(Message("/1", None, {}))
    courier.deliver()
    courier.deliver()
    assert len(service.requests) == 1


def test_while_the_service_is_in_trouble_it_is_left_in_peace(
    courier_to: Callable[[Answers], Courier], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "FIRST_DELAY_SECONDS", 60.0)
    service = Answers(503)
    courier = courier_to(service)
    courier.put(Message("/1", None, {}))
    for _ in range(5):
        courier.deliver()
    assert len(service.requests) == 1


class Known:
    """Answers job pages from a list."""

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


def test_jobs_of_an_earlier_life_are_gone_and_not_completed() -> None:
    known: Any = Known(job("5", "running"), job("6", "pending"), job("7", "completed"))
    gone = leftovers(known, "lab")
    assert {found.job_id: found.raw_state for found in gone} == {"5": "NODE_FAIL", "6": "CANCELLED"}
    assert gone[0].end_time == T0 + timedelta(minutes=5)


def test_real_jobs_are_left_alone() -> None:
    known: Any = Known(job("5", "running", kind="slurm"))
    assert leftovers(known, "lab") == []


def test_numbers_go_on_above_those_that_were_used() -> None:
    some: Any = Known(job("1500", "completed"), job("x", "running"))
    none: Any = Known()
    assert next_job_id(some) == 1501
    assert next_job_id(none) == FIRST_JOB_ID
