"""The collector on SQS (moto): each sample once, an empty queue, dead letters."""

from __future__ import annotations

import random

import boto3
import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.queue.sqs import SqsQueue
from hpcobs.service.collection import Collection, CollectionReport
from hpcobs.service.ingestion import Ingestion
from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.sample_writer.writer import PostgresSampleWriter
from hpcobs.storage.timings import OperationTimings
from tests.collector.batches import many
from tests.collector.conftest import RULES, Site
from tests.queue.conftest import sqs_urls

__all__ = ["sqs_urls"]

NOWHERE = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")


@pytest.fixture
def queue(sqs_urls: tuple[str, str]) -> SqsQueue:
    live, dead = sqs_urls
    client = boto3.client("sqs")
    client.set_queue_attributes(QueueUrl=live, Attributes={"VisibilityTimeout": "120"})
    return SqsQueue(live, dead_letter_url=dead)


def collect(queue: SqsQueue, connection: SingleConnection) -> CollectionReport:
    writer = PostgresSampleWriter(connection, OperationTimings())
    return Collection(queue, writer, RULES).run(lambda: 60.0)


def test_repeated_sqs_batches_count_once(site: Site, queue: SqsQueue) -> None:
    chance = random.Random(8)
    jobs = ["1", "2", "3"]
    site.start_jobs(*jobs, nodes=("n1", "n2"))
    batches = many(site.sent, jobs=3, nodes=2, rounds=25, chance=chance, per_batch=5) * 2
    chance.shuffle(batches)
    ingestion = Ingestion(queue, home_cluster="lab")
    for batch in batches:
        ingestion.accept(batch, principal_node=None)
    queue.send([b"no gzip"])
    report = collect(queue, site.connect())
    assert (report.messages, report.buried) == (len(batches) + 1, 1)
    site.check(*jobs)
    depth = queue.depth()
    assert (depth.visible, depth.in_flight, depth.dead) == (0, 0, 1)


def test_unavailable_database_leaves_batches_on_sqs(site: Site, queue: SqsQueue) -> None:
    site.start_jobs("1")
    batches = many(site.sent, jobs=1, nodes=1, rounds=4, chance=random.Random(9))
    for batch in batches:
        Ingestion(queue, home_cluster="lab").accept(batch, principal_node=None)
    with pytest.raises(UnavailableError):
        collect(queue, SingleConnection(connect_arguments(NOWHERE)))
    assert queue.depth().visible == len(batches)
    collect(queue, site.connect())
    site.check("1")
