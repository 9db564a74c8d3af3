"""The queue on Amazon SQS. Bodies are bytes and SQS takes text, so they travel in base64.

``bury`` sends a message to the dead-letter queue with its reason. A message that was received too
often is moved there by SQS (the queue's redrive policy).
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
Response = TypeVar("Response")

MAX_MESSAGE_BYTES = 1024 * 1024
"""SQS's limit for a message, and for a batch of messages."""
MAX_BATCH = 10
"""SQS's limit of messages in a request."""
# botocore keeps ten connections, and opens a new one for each further request.
PARALLEL_REQUESTS = 8
LONG_POLL_SECONDS = 1
ATTEMPTS = 3
"""For single messages that SQS failed on. botocore repeats failed requests by its own rules."""
DEPTH_ATTRIBUTES: list[Any] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
]


class SqsQueue:
    """See ``hpcobs.ports.queue.SampleQueue``."""

    # Base64 makes four bytes of three. 1 KiB is left for attributes, which count as well.
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
        """Put messages on the queue. They are durable when this returns."""
        # One by one: a batch of messages may be no larger than one message.
        for body in bodies:
            with _translated():
                self._client.send_message(QueueUrl=self._url, MessageBody=_text(body))

    def receive(self, *, limit: int) -> Sequence[Message]:
        """Return up to ``limit`` messages: by one request that waits, then by several at a time."""
        # Long polling: a request without a wait queries some of SQS's servers only, and may miss
        # messages.
        messages = self._receive(min(MAX_BATCH, limit), LONG_POLL_SECONDS)
        empty = not messages
        while not empty and len(messages) < limit:
            sizes = _sizes(limit - len(messages))
            responses = _side_by_side(self._receive, sizes)
            more = [message for response in responses for message in response]
            messages += more
            # Half full counts as empty: while others send, each request would find a message.
            empty = len(more) < sum(sizes) / 2
        return messages

    def _receive(self, limit: int, wait_seconds: int = 0) -> list[Message]:
        with _translated():
            response = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=limit,
                WaitTimeSeconds=wait_seconds,
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
        return [_message(item) for item in response.get("Messages", [])]

    def delete(self, messages: Sequence[Message]) -> None:
        """Delete messages that were stored. An expired delivery is left to its next receiver."""
        delete = partial(self._all, self._client.delete_message_batch)
        _side_by_side(delete, _entries(messages))

    def extend(self, messages: Sequence[Message], *, seconds: int) -> None:
        """Hide received messages for ``seconds`` from now. With 0 they are visible at once."""
        change = partial(self._all, self._client.change_message_visibility_batch)
        _side_by_side(change, _entries(messages, VisibilityTimeout=seconds))

    def _all(self, request: Any, entries: list[dict[str, Any]]) -> None:
        """Make a request for all entries. Repeat it for those that SQS failed on."""
        for _ in range(ATTEMPTS):
            with _translated():
                failed = request(QueueUrl=self._url, Entries=entries).get("Failed", [])
            # The sender's fault is an expired receipt: the message belongs to another receiver now.
            failed_ids = {item["Id"] for item in failed if not item["SenderFault"]}
            entries = [entry for entry in entries if entry["Id"] in failed_ids]
            if not entries:
                return
        raise UnavailableError("the queue did not process all messages of a request")

    def bury(self, message: Message, reason: str) -> None:
        """Send a message that cannot be read to the dead-letter queue, with its reason.

        Without that queue's URL the message stays, and SQS moves it after some more receives.
        """
        if self._dead_letter_url is None:
            return
        attributes: dict[str, Any] = {"reason": {"DataType": "String", "StringValue": reason}}
        with _translated():
            self._client.send_message(
                QueueUrl=self._dead_letter_url,
                # A foreign message may be too large in base64. Its beginning shows what it is.
                MessageBody=_text(message.body[: self.max_body_bytes]),
                MessageAttributes=attributes,
            )
        # Sent before it is deleted: a failure in between makes two dead letters, not none.
        self.delete([message])

    def depth(self) -> QueueDepth:
        """Return how many messages are visible, in flight and dead, by SQS's approximate counts."""
        visible, in_flight = self._counts(self._url)
        dead = self._counts(self._dead_letter_url)[0] if self._dead_letter_url else 0
        return QueueDepth(visible, in_flight, dead)

    def _counts(self, url: str) -> tuple[int, int]:
        with _translated():
            response = self._client.get_queue_attributes(
                QueueUrl=url, AttributeNames=DEPTH_ATTRIBUTES
            )
        visible, in_flight = (int(response["Attributes"][name]) for name in DEPTH_ATTRIBUTES)
        return visible, in_flight


def _sizes(limit: int) -> list[int]:
    """Return how many messages each of the next parallel requests should return."""
    sizes = [min(MAX_BATCH, limit - first) for first in range(0, limit, MAX_BATCH)]
    return sizes[:PARALLEL_REQUESTS]


def _side_by_side(request: Callable[[Given], Response], given: Iterable[Given]) -> list[Response]:
    """Make several requests, some at a time, and return their responses in order."""
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
        # A foreign message. Its body is returned unchanged, so that it is buried with a reason.
        body = item["Body"].encode()
    return Message(
        id=item["MessageId"],
        receipt=item["ReceiptHandle"],
        body=body,
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receive_count=int(attributes["ApproximateReceiveCount"]),
    )


def _entries(messages: Sequence[Message], **extra: object) -> Iterator[list[dict[str, Any]]]:
    """Yield the entries of requests, ten for each."""
    for first in range(0, len(messages), MAX_BATCH):
        yield [
            {"Id": str(index), "ReceiptHandle": message.receipt, **extra}
            for index, message in enumerate(messages[first : first + MAX_BATCH])
        ]
