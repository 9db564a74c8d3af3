"""The two queues under one contract: SQS (moto's) and the table in PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from hpcobs.ports.queue import SampleQueue
from hpcobs.queue.postgres import PostgresQueue
from hpcobs.queue.sqs import SqsQueue
from hpcobs.storage.connections import SingleConnection
from tests.stores import connect, query

__all__ = ["connect", "query"]

VISIBILITY_SECONDS = 1
REGION = "eu-central-1"


@pytest.fixture
def sqs_urls(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """A queue and its dead-letter queue, as the stack makes them."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("sqs")
        dead = client.create_queue(QueueName="dead")["QueueUrl"]
        attributes: Any = {
            "VisibilityTimeout": str(VISIBILITY_SECONDS),
            "MaximumMessageSize": "1048576",
        }
        live = client.create_queue(QueueName="samples", Attributes=attributes)["QueueUrl"]
        yield live, dead


@pytest.fixture(params=["postgres", "sqs"])
def queue(request: pytest.FixtureRequest) -> SampleQueue:
    if request.param == "sqs":
        live, dead = request.getfixturevalue("sqs_urls")
        return SqsQueue(live, dead_letter_url=dead)
    connect: Callable[[], SingleConnection] = request.getfixturevalue("connect")
    return PostgresQueue(connect(), visibility_seconds=VISIBILITY_SECONDS)
