"""What is SQS's own: partial failures, reasons of dead letters, foreign messages, no service."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.queue.sqs import MAX_MESSAGE_BYTES, SqsQueue


def test_a_buried_message_carries_its_reason(sqs_urls: tuple[str, str]) -> None:
    live, dead = sqs_urls
    queue = SqsQueue(live, dead_letter_url=dead)
    queue.send([b"poison"])
    queue.bury(queue.receive(limit=1)[0], "unreadable: no gzip")
    client = boto3.client("sqs")
    answer = client.receive_message(QueueUrl=dead, MessageAttributeNames=["reason"])
    (letter,) = answer["Messages"]
    assert letter["MessageAttributes"]["reason"]["StringValue"] == "unreadable: no gzip"


def test_a_message_that_somebody_else_wrote_is_handed_over_as_it_is(
    sqs_urls: tuple[str, str],
) -> None:
    live, _ = sqs_urls
    boto3.client("sqs").send_message(QueueUrl=live, MessageBody="not base64!")
    (message,) = SqsQueue(live).receive(limit=1)
    assert message.body == b"not base64!"


def test_the_largest_message_of_somebody_else_can_be_buried(sqs_urls: tuple[str, str]) -> None:
    live, dead = sqs_urls
    boto3.client("sqs").send_message(QueueUrl=live, MessageBody="?" * MAX_MESSAGE_BYTES)
    queue = SqsQueue(live, dead_letter_url=dead)
    queue.bury(queue.receive(limit=1)[0], "unreadable: " + "why " * 64)
    assert (queue.depth().visible, queue.depth().dead) == (0, 1)


def test_many_messages_are_taken_and_deleted_by_requests_side_by_side_each_once(
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


def test_entries_that_sqs_failed_on_are_tried_again(sqs_urls: tuple[str, str]) -> None:
    queue = SqsQueue(sqs_urls[0])
    asked: list[list[str]] = []

    def request(**given: Any) -> dict[str, Any]:
        asked.append([entry["Id"] for entry in given["Entries"]])
        return {"Failed": [{"Id": "1", "SenderFault": False}] if len(asked) == 1 else []}

    queue._all(request, [{"Id": "0"}, {"Id": "1"}])
    assert asked == [["0", "1"], ["1"]]


def test_entries_that_sqs_keeps_failing_on_are_told(sqs_urls: tuple[str, str]) -> None:
    queue = SqsQueue(sqs_urls[0])
    with pytest.raises(UnavailableError):
        queue._all(lambda **_: {"Failed": [{"Id": "0", "SenderFault": False}]}, [{"Id": "0"}])


def test_a_queue_that_does_not_exist_is_unavailable(sqs_urls: tuple[str, str]) -> None:
    with pytest.raises(UnavailableError):
        SqsQueue(sqs_urls[0] + "-gone").depth()
