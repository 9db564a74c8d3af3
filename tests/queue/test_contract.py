"""The contract of every sample queue: at least once, no loss, whatever the receiver does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.ports.queue import Message, SampleQueue

Receive = Callable[[], list[Message]]


def bodies(messages: list[Message]) -> list[bytes]:
    return sorted(message.body for message in messages)


def received(queue: SampleQueue, limit: int = 100) -> list[Message]:
    return list(queue.receive(limit=limit))


def test_received_body_equals_sent_body(queue: SampleQueue) -> None:
    sent = [b"", b"plain", bytes(range(256)), os.urandom(300_000)]
    queue.send(sent[1:])
    assert bodies(received(queue)) == sorted(sent[1:])


def test_empty_queue_returns_at_once(queue: SampleQueue) -> None:
    assert received(queue) == []


def test_receive_respects_limit(queue: SampleQueue) -> None:
    sent = [b"%d" % number for number in range(25)]
    queue.send(sent)
    first = bodies(received(queue, limit=3))
    assert len(first) == 3
    assert set(first) | set(bodies(received(queue, limit=100))) == set(sent)


def test_received_message_is_hidden_then_redelivered(
    queue: SampleQueue, after_visibility: Receive
) -> None:
    queue.send([b"one"])
    (first,) = received(queue)
    assert received(queue) == []
    (again,) = after_visibility()
    assert (again.body, again.id) == (b"one", first.id)
    assert (first.receive_count, again.receive_count) == (1, 2)


def test_deleted_message_is_not_redelivered(queue: SampleQueue, after_visibility: Receive) -> None:
    queue.send([b"%d" % number for number in range(23)])
    messages = received(queue)
    assert len(messages) == 23
    queue.delete(messages)
    assert after_visibility() == []
    assert queue.depth().visible == 0


def test_extended_message_stays_hidden(queue: SampleQueue, after_visibility: Receive) -> None:
    queue.send([b"one"])
    queue.extend(received(queue), seconds=60)
    assert after_visibility() == []


def test_returned_message_is_visible_at_once(queue: SampleQueue) -> None:
    queue.send([b"one"])
    queue.extend(received(queue), seconds=0)
    (again,) = received(queue)
    assert again.receive_count == 2


def test_buried_message_counts_as_dead(queue: SampleQueue, after_visibility: Receive) -> None:
    queue.send([b"poison", b"good"])
    poison = next(message for message in received(queue) if message.body == b"poison")
    queue.bury(poison, "unreadable: no gzip")
    assert bodies(after_visibility()) == [b"good"]
    assert queue.depth().dead == 1


def test_depth_counts_visible_and_in_flight(queue: SampleQueue) -> None:
    queue.send([b"a", b"b", b"c"])
    received(queue, limit=1)
    depth = queue.depth()
    assert (depth.visible, depth.in_flight, depth.dead) == (2, 1, 0)


def test_message_has_its_sending_time(queue: SampleQueue) -> None:
    began = time.time()
    queue.send([b"one"])
    (message,) = received(queue)
    assert began - 1 <= message.sent_at.timestamp() <= time.time() + 1


def test_largest_body_is_accepted(queue: SampleQueue) -> None:
    body = os.urandom(queue.max_body_bytes)
    queue.send([body])
    (message,) = received(queue)
    assert message.body == body


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12)))
def test_every_message_arrives_once(queue: SampleQueue, batches: list[list[bytes]]) -> None:
    arrived: list[bytes] = []
    for batch in batches:
        queue.send(batch)
        messages = received(queue, limit=7)
        arrived += [message.body for message in messages]
        queue.delete(messages)
    while messages := received(queue):
        arrived += [message.body for message in messages]
        queue.delete(messages)
    assert sorted(arrived) == sorted(body for batch in batches for body in batch)
