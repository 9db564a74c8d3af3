"""Cases of SQS only: partial failures, reasons of dead letters, foreign messages, no service."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.queue.sqs import MAX_MESSAGE_BYTES, SqsQueue


def test_buried_message_carries_reason(sqs_urls: tuple[str, str]) -> None:
    live, dead = sqs_urls
    queue = SqsQueue(live, dead_letter_url=dead)
    queue.send([b"poison"])
    queue.bury(queue.receive(limit=1)[0], "unreadable: no gzip")
    client = boto3.client("sqs")
    response = client.receive_message(QueueUrl=dead, MessageAttributeNames=["reason"])
    (letter,) = response["Messages"]
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "unreadable: no gzip"


def test_foreign_message_is_returned_unchanged(
    sqs_urls: tuple[str, str],
) -> None:
    live, _ = sqs_urls
    boto3.client("sqs").send_message(QueueUrl=live, MessageBody="not base64!")
    (message,) = SqsQueue(live).receive(limit=1)
    assert message.body == b"not base64!"


def test_largest_foreign_message_can_be_buried(sqs_urls: tuple[str, str]) -> None:
    live, dead = sqs_urls
    boto3.client("sqs").send_message(QueueUrl=live, MessageBody="?" * MAX_MESSAGE_BYTES)
    queue = SqsQueue(live, dead_letter_url=dead)
    queue.bury(queue.receive(limit=1)[0], "unreadable: " + "why " * 64)
    assert (queue.depth().visible, queue.depth().dead) == (0, 1)


def test_parallel_requests_handle_each_message_once(
    sqs_urls: tuple[str, str],
) -> None:
    boto3.client("sqs").set_queue_attributes(
        QueueUrl=sqs_urls[0], Attributes={"VisibilityTimeout": "60"}
    )
    queue = SqsQueue(sqs_urls[0])
    queue.send([b"%d" % number for number in range(95)])
    taken = [*queue.receive(limit=60), *queue.receive(limit=60)]
    assert sorted(int(message.body) for message in taken) == list(range(95))
    queue.delete(taken[5:])
    assert (queue.depth().visible, queue.depth().in_flight) == (0, 5)


def test_failed_sqs_entries_are_retried(sqs_urls: tuple[str, str]) -> None:
    queue = SqsQueue(sqs_urls[0])
    requested: list[list[str]] = []

    def request(**given: Any) -> dict[str, Any]:
        requested.append([entry["Id"] for entry in given["Entries"]])
        return {"Failed": [{"Id": "1", "SenderFault": False}] if len(requested) == 1 else []}

    queue._all(request, [{"Id": "0"}, {"Id": "1"}])
    assert requested == [["0", "1"], ["1"]]


def test_repeatedly_failed_sqs_entries_raise(sqs_urls: tuple[str, str]) -> None:
    queue = SqsQueue(sqs_urls[0])
    with pytest.raises(UnavailableError):
        queue._all(lambda **_: {"Failed": [{"Id": "0", "SenderFault": False}]}, [{"Id": "0"}])


def test_missing_queue_is_unavailable(sqs_urls: tuple[str, str]) -> None:
    with pytest.raises(UnavailableError):
        SqsQueue(sqs_urls[0] + "-gone").depth()
