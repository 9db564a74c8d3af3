"""The two queues under one contract: SQS (moto's) and the table in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Lock
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.utils import unix_time_millis
from moto.sqs.responses import SQSResponse

from hpcobs.ports.queue import Message, SampleQueue
from hpcobs.queue import sqs
from hpcobs.queue.postgres import PostgresQueue
from hpcobs.queue.sqs import SqsQueue
from hpcobs.storage.connections import SingleConnection
from tests.stores import Query, connect, query

__all__ = ["connect", "query"]

VISIBILITY_SECONDS = 30
REGION = "eu-central-1"


def one_at_a_time(action: Callable[[SQSResponse], Any]) -> Callable[[SQSResponse], Any]:
    """Make requests take turns: SQS handles parallel requests, moto does not."""
    turn = Lock()

    def taking_turns(response: SQSResponse) -> Any:
        with turn:
            return action(response)

    return taking_turns


@pytest.fixture
def sqs_urls(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Create a queue and its dead-letter queue, as the stack does. Yield their URLs."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setattr(sqs, "LONG_POLL_SECONDS", 0)
    monkeypatch.setattr(SQSResponse, "call_action", one_at_a_time(SQSResponse.call_action))
    with mock_aws():
        client = boto3.client("sqs")
        largest: Any = {"MaximumMessageSize": "1048576"}
        dead = client.create_queue(QueueName="dead", Attributes=largest)["QueueUrl"]
        attributes = largest | {"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        live = client.create_queue(QueueName="samples", Attributes=attributes)["QueueUrl"]
        yield live, dead


@pytest.fixture
def after_visibility(
    request: pytest.FixtureRequest, queue: SampleQueue, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], list[Message]]:
    """Return a function that receives what is visible once the visibility time-out is over.

    It moves the queue's clock, so that no test waits, and no busy machine exceeds the time-out.
    """

    def receive() -> list[Message]:
        if isinstance(queue, SqsQueue):
            now = unix_time_millis() + (VISIBILITY_SECONDS + 1) * 1000
            monkeypatch.setattr("moto.sqs.models.unix_time_millis", lambda: now)
        else:
            run: Query = request.getfixturevalue("query")
            elapsed = timedelta(seconds=VISIBILITY_SECONDS + 1)
            run("UPDATE sample_queue SET visible_at = visible_at - %s", elapsed)
        return list(queue.receive(limit=100))

    return receive


@pytest.fixture(params=["postgres", "sqs"])
def queue(request: pytest.FixtureRequest) -> SampleQueue:
    if request.param == "sqs":
        live, dead = request.getfixturevalue("sqs_urls")
        return SqsQueue(live, dead_letter_url=dead)
    connect: Callable[[], SingleConnection] = request.getfixturevalue("connect")
    return PostgresQueue(connect(), visibility_seconds=VISIBILITY_SECONDS)
