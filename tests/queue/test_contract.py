"""What every sample queue promises: at least once, nothing lost, whatever the receiver does."""

from __future__ import annotations

import os
import time

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.ports.queue import Message, SampleQueue
from tests.queue.conftest import VISIBILITY_SECONDS


def bodies(messages: list[Message]) -> list[bytes]:
    return sorted(message.body for message in messages)


def received(queue: SampleQueue, limit: int = 100) -> list[Message]:
    return list(queue.receive(limit=limit))


def after_visibility(queue: SampleQueue) -> list[Message]:
    time.sleep(VISIBILITY_SECONDS + 0.2)
    return received(queue)


def test_what_is_sent_is_received_byte_for_byte(queue: SampleQueue) -> None:
    sent = [b"", b"plain", bytes(range(256)), os.urandom(300_000)]
    queue.send(sent[1:])
    assert bodies(received(queue)) == sorted(sent[1:])


def test_an_empty_queue_gives_nothing_at_once(queue: SampleQueue) -> None:
    assert received(queue) == []


def test_no_more_than_the_limit_is_taken(queue: SampleQueue) -> None:
    sent = [b"%d" % number for number in range(25)]
    queue.send(sent)
    first = bodies(received(queue, limit=3))
    assert len(first) == 3
    assert set(first) | set(bodies(received(queue, limit=100))) == set(sent)


def test_a_received_message_is_hidden_from_others_and_comes_back(queue: SampleQueue) -> None:
    queue.send([b"one"])
    (first,) = received(queue)
    assert received(queue) == []
    (again,) = after_visibility(queue)
    assert (again.body, again.id) == (b"one", first.id)
    assert (first.receive_count, again.receive_count) == (1, 2)


def test_a_deleted_message_never_comes_back(queue: SampleQueue) -> None:
    queue.send([b"%d" % number for number in range(23)])
    messages = received(queue)
    assert len(messages) == 23
    queue.delete(messages)
    assert after_visibility(queue) == []
    assert queue.depth().visible == 0


def test_an_extended_message_stays_hidden(queue: SampleQueue) -> None:
    queue.send([b"one"])
    queue.extend(received(queue), seconds=60)
    assert after_visibility(queue) == []


def test_a_message_that_is_given_back_is_there_for_others_at_once(queue: SampleQueue) -> None:
    queue.send([b"one"])
    queue.extend(received(queue), seconds=0)
    (again,) = received(queue)
    assert again.receive_count == 2


def test_a_buried_message_is_dead_and_counted(queue: SampleQueue) -> None:
    queue.send([b"poison", b"good"])
    poison = next(message for message in received(queue) if message.body == b"poison")
    queue.bury(poison, "unreadable: no gzip")
    assert bodies(after_visibility(queue)) == [b"good"]
    assert queue.depth().dead == 1


def test_the_depth_tells_who_waits_and_who_is_being_worked_on(queue: SampleQueue) -> None:
    queue.send([b"a", b"b", b"c"])
    received(queue, limit=1)
    depth = queue.depth()
    assert (depth.visible, depth.in_flight, depth.dead) == (2, 1, 0)


def test_a_message_knows_when_it_was_sent(queue: SampleQueue) -> None:
    began = time.time()
    queue.send([b"one"])
    (message,) = received(queue)
    assert began - 1 <= message.sent_at.timestamp() <= time.time() + 1


def test_a_body_of_the_largest_size_is_taken(queue: SampleQueue) -> None:
    body = os.urandom(queue.max_body_bytes)
    queue.send([body])
    (message,) = received(queue)
    assert message.body == body


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=12)))
def test_however_it_is_sent_and_taken_everything_arrives_once(
    queue: SampleQueue, batches: list[list[bytes]]
) -> None:
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
