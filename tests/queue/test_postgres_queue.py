"""Behaviour of the queue in PostgreSQL that SQS has by its configuration."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hpcobs.domain.errors import UnavailableError
from hpcobs.queue.postgres import MAX_RECEIVES, PostgresQueue
from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stores import Query


def test_worn_out_message_becomes_dead_letter(
    connect: Callable[[], SingleConnection], query: Query
) -> None:
    queue = PostgresQueue(connect(), visibility_seconds=0)
    queue.send([b"poison"])
    for _ in range(MAX_RECEIVES):
        assert len(queue.receive(limit=1)) == 1
    assert queue.receive(limit=1) == []
    assert query("SELECT body, reason FROM sample_queue_dead") == [
        (b"poison", "received too often")
    ]


def test_redriven_dead_letters_are_like_new(
    connect: Callable[[], SingleConnection],
) -> None:
    queue = PostgresQueue(connect())
    queue.send([b"one", b"two"])
    for message in queue.receive(limit=2):
        queue.bury(message, "not today")
    assert queue.redrive() == 2
    assert (queue.depth().dead, queue.redrive()) == (0, 0)
    again = queue.receive(limit=9)
    assert [(message.body, message.receive_count) for message in again] == [
        (b"one", 1),
        (b"two", 1),
    ]


def test_expired_delivery_deletes_nothing(
    connect: Callable[[], SingleConnection],
) -> None:
    queue = PostgresQueue(connect(), visibility_seconds=0)
    queue.send([b"one"])
    expired = queue.receive(limit=1)
    held = queue.receive(limit=1)
    queue.delete(expired)
    assert queue.depth().visible == 1
    queue.delete(held)
    assert queue.depth().visible == 0


def test_parallel_receivers_share_messages(
    connect: Callable[[], SingleConnection],
) -> None:
    PostgresQueue(connect()).send([b"%d" % number for number in range(200)])
    taken: list[bytes] = []

    def take(queue: PostgresQueue) -> None:
        while messages := queue.receive(limit=7):
            taken.extend(message.body for message in messages)

    threads = [threading.Thread(target=take, args=(PostgresQueue(connect()),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 200


def test_queue_without_database_is_unavailable() -> None:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none")
    queue = PostgresQueue(SingleConnection(connect_arguments(settings)))
    with pytest.raises(UnavailableError):
        queue.send([b"one"])
