"""The queue between ``ingest`` and the collector, and where dead letters go."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from hpcobs.queue.sqs import MAX_MESSAGE_BYTES

VISIBILITY_SECONDS = 120
"""Longer than the collector may run, so that no message is worked on twice at a time."""

MAX_RECEIVES = 1000
"""As many as SQS allows: while the database is down for hours, each run receives and fails. The
collector itself sets aside what can never be read."""


class SampleQueue(Construct):
    """Batches of samples, kept for a week; dead letters for two."""

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
    """A queue that is encrypted at rest and answers over TLS only."""
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
