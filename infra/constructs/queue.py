"""The queue between ``ingest`` and the collector, and the queue for its dead letters."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from hpcobs.queue.sqs import MAX_MESSAGE_BYTES

VISIBILITY_SECONDS = 120
"""Longer than the collector may run, so no two invocations process a message at a time."""

MAX_RECEIVES = 1000
"""The highest number that SQS allows. While the database is unavailable, each run receives messages
and fails, for hours perhaps. The collector rejects messages that it can never read."""


class SampleQueue(Construct):
    """Batches of samples, kept for a week, and dead letters, kept for two weeks."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.dead_letters = encrypted_queue(self, "DeadLetters", keep=Duration.days(14))
        self.queue = encrypted_queue(
            self,
            "Samples",
            keep=Duration.days(7),
            visibility=Duration.seconds(VISIBILITY_SECONDS),
            dead_letters=sqs.DeadLetterQueue(
                queue=self.dead_letters, max_receive_count=MAX_RECEIVES
            ),
        )


def encrypted_queue(
    scope: Construct,
    name: str,
    *,
    keep: Duration,
    visibility: Duration | None = None,
    dead_letters: sqs.DeadLetterQueue | None = None,
) -> sqs.Queue:
    """Return a new queue that is encrypted at rest and reachable over TLS only."""
    return sqs.Queue(
        scope,
        name,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        max_message_size_bytes=MAX_MESSAGE_BYTES,
        retention_period=keep,
        visibility_timeout=visibility,
        dead_letter_queue=dead_letters,
    )
