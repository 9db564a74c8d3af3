"""The queue on Amazon SQS. Bodies are bytes, SQS takes text: they travel in base64.

``bury`` sends a message to the dead-letter queue with its reason; what is only received too often
is moved there by SQS itself (its redrive policy).
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

from hpcobs.domain.errors import UnavailableError
from hpcobs.ports.queue import Message, QueueDepth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mypy_boto3_sqs.client import SQSClient

Given = TypeVar("Given")
Answer = TypeVar("Answer")

MAX_MESSAGE_BYTES = 1024 * 1024
"""SQS: a message, and a batch of messages, may have 1 MiB."""
MAX_BATCH = 10
PARALLEL_REQUESTS = 8
LONG_POLL_SECONDS = 1
ATTEMPTS = 3
DEPTH_ATTRIBUTES: list[Any] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
]


class SqsQueue:
    """See ``hpcobs.ports.queue.SampleQueue``."""

    # Base64 makes four bytes of three.
    max_body_bytes = MAX_MESSAGE_BYTES // 4 * 3 - 1024

    def __init__(self, url: str, *, dead_letter_url: str | None = None) -> None:
        self._url = url
        self._dead_letter_url = dead_letter_url

    @cached_property
    def _client(self) -> SQSClient:
        import boto3
        from botocore.config import Config

        limits = Config(
            connect_timeout=2,
            read_timeout=5,
            retries={"mode": "standard", "total_max_attempts": 3},
        )
        return boto3.client("sqs", config=limits)

    def send(self, bodies: Sequence[bytes]) -> None:
        """Put messages on the queue; they are durable when this returns."""
        for body in bodies:
            with _translated():
                self._client.send_message(QueueUrl=self._url, MessageBody=_text(body))

    def receive(self, *, limit: int) -> Sequence[Message]:
        """Take up to ``limit`` messages: one request that waits, then several at a time."""
        # Without any waiting SQS asks only some of its servers, and may miss what is there.
        messages = self._receive(min(MAX_BATCH, limit), LONG_POLL_SECONDS)
        drained = not messages
        while not drained and len(messages) < limit:
            sizes = _sizes(limit - len(messages))
            answers = _side_by_side(self._receive, sizes)
            more = [message for answer in answers for message in answer]
            messages += more
            # Where others send all the time, a request finds something whenever it is made.
            drained = len(more) < sum(sizes) / 2
        return messages

    def _receive(self, limit: int, wait_seconds: int = 0) -> list[Message]:
        with _translated():
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait_seconds,
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
        return [_message(item) for item in answer.get("Messages", [])]

    def delete(self, messages: Sequence[Message]) -> None:
        """Remove what was dealt with; an expired delivery is left to its next receiver."""
        delete = partial(self._all, self._client.delete_message_batch)
        _side_by_side(delete, _entries(messages))

    def extend(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Hide received messages for so long from now; 0 gives them back."""
        change = partial(self._all, self._client.change_message_visibility_batch)
        _side_by_side(change, _entries(messages, VisibilityTimeout=seconds))

    def _all(self, request: Any, entries: list[dict[str, Any]]) -> None:
        """Make a request for all entries; those that SQS failed on are tried again."""
        for _ in range(ATTEMPTS):
            with _translated():
                failed = request(QueueUrl=self._url, Entries=entries).get("Failed", [])
            again = {item["Id"] for item in failed if not item["SenderFault"]}
            entries = [entry for entry in entries if entry["Id"] in again]
            if not entries:
                return
        raise UnavailableError("the queue did not take all of a request")

    def bury(self, message: Message, reason: str) -> None:
        """Send a message that can never be read to the dead-letter queue, with its reason.

        Without a dead-letter queue's URL it is left, and SQS moves it after some more receives.
        """
        if self._dead_letter_url is None:
            return
        attributes: dict[str, Any] = {"reason": {"DataType": "String", "StringValue": reason}}
        with _translated():
            self._client.send_message(
                QueueUrl=self._dead_letter_url,
                # Of another's message, which base64 makes too large, its beginning will do.
                MessageBody=_text(message.body[: self.max_body_bytes]),
                MessageAttributes=attributes,
            )
        self.delete([message])

    def depth(self) -> QueueDepth:
        """How many messages wait, are being worked on, and are dead."""
        visible, in_flight = self._counts(self._url)
        dead = self._counts(self._dead_letter_url)[0] if self._dead_letter_url else 0
        return QueueDepth(visible, in_flight, dead)

    def _counts(self, url: str) -> tuple[int, int]:
        with _translated():
            answer = self._client.get_queue_attributes(
                QueueUrl=url, AttributeNames=DEPTH_ATTRIBUTES
            )
        visible, in_flight = (int(answer["Attributes"][name]) for name in DEPTH_ATTRIBUTES)
        return visible, in_flight


def _sizes(limit: int) -> list[int]:
    """How many messages to ask for by requests side by side."""
    sizes = [min(MAX_BATCH, limit - first) for first in range(0, limit, MAX_BATCH)]
    return sizes[:PARALLEL_REQUESTS]


def _side_by_side(request: Callable[[Given], Answer], given: Iterable[Given]) -> list[Answer]:
    """The answers to several requests, some of them under way at a time; in order."""
    with ThreadPoolExecutor(PARALLEL_REQUESTS) as pool:
        return list(pool.map(request, given))


@contextmanager
def _translated() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UnavailableError("the queue is not available") from error


def _text(body: bytes) -> str:
    return base64.b64encode(body).decode()


def _message(item: Any) -> Message:
    attributes = item["Attributes"]
    try:
        body = base64.b64decode(item["Body"], validate=True)
    except ValueError:
        body = item["Body"].encode()
    return Message(
        id=item["MessageId"],
        receipt=item["ReceiptHandle"],
        body=body,
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receive_count=int(attributes["ApproximateReceiveCount"]),
    )


def _entries(messages: Sequence[Message], **extra: object) -> Iterator[list[dict[str, Any]]]:
    """Requests' entries, ten at a time."""
    for first in range(0, len(messages), MAX_BATCH):
        yield [
            {"Id": str(index), "ReceiptHandle": message.receipt, **extra}
            for index, message in enumerate(messages[first : first + MAX_BATCH])
        ]
