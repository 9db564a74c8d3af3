"""Collection: the queue is drained into the database, each sample once in effect.

A receive is written in one transaction and its messages are deleted after the commit. What fails in
between comes again, and counts once because a sample's key is unique.
"""

from __future__ import annotations

import gc
import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.errors import DomainError, InvalidInputError, UnavailableError
from hpcobs.domain.samples import SampleWindow, Stored
from hpcobs.ports.clock import utc_now
from hpcobs.service.drains import drain_of
from hpcobs.wire.messages import MessageError, unpack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from hpcobs.ports.clock import Clock
    from hpcobs.ports.queue import Message, SampleQueue
    from hpcobs.ports.samples import SampleSink
    from hpcobs.service.following import Following
    from hpcobs.wire.decoding import DecodedBatch

    Received = list[tuple[Message, DecodedBatch]]

logger = logging.getLogger(__name__)

RECEIVE_LIMIT = 100
DRAIN_SAMPLES = 10_000
RESERVE_SECONDS = 10.0
HIDDEN_SECONDS = 120
"""How long a search for what the database refuses keeps its messages from others."""
WAIT_FOR_JOB = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRules:
    """How a site wants its samples collected."""

    home_cluster: str
    interval_seconds: float
    retention_days: int


@dataclass(slots=True)
class CollectionReport:
    """What a run did."""

    passes: int = 0
    messages: int = 0
    buried: int = 0
    samples: Stored = field(default_factory=Stored)
    lag_seconds: float = 0.0
    jobs_changed: int = 0


class Collection:
    """The use case of the collector's schedule."""

    def __init__(
        self,
        queue: SampleQueue,
        sink: SampleSink,
        rules: CollectionRules,
        *,
        following: Following | None = None,
        clock: Clock = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._queue = queue
        self._sink = sink
        self._rules = rules
        self._following = following
        self._clock = clock
        self._sleep = sleep

    def run(self, remaining_seconds: Callable[[], float]) -> CollectionReport:
        """Drain the queue in passes an interval apart, as long as the time lasts."""
        report = CollectionReport()
        while True:
            began = self._clock()
            with _no_search_for_cycles():
                self._pass(remaining_seconds, report)
            took = (self._clock() - began).total_seconds()
            pause = max(0.0, self._rules.interval_seconds - took)
            if remaining_seconds() < pause + RESERVE_SECONDS:
                return report
            self._sleep(pause)

    def _pass(self, remaining_seconds: Callable[[], float], report: CollectionReport) -> None:
        report.passes += 1
        if self._following is not None:
            # Before the samples: they may be of jobs that are only now heard of.
            report.jobs_changed += self._following.run(
                remaining_seconds, reserve_seconds=RESERVE_SECONDS * 2
            )
        report.lag_seconds = 0.0
        while remaining_seconds() > RESERVE_SECONDS:
            received = self._receive(report)
            if received is None:
                break
            self._write(received, report)
        waited_since = self._clock() - WAIT_FOR_JOB
        report.samples += self._sink.settle_waiting(give_up_before=waited_since)
        self._sink.finish_run(finished_at=self._clock(), lag_seconds=report.lag_seconds)

    def _receive(self, report: CollectionReport) -> Received | None:
        """What is worth a transaction; None once the queue is empty."""
        received: Received = []
        samples = 0
        empty = True
        while samples < DRAIN_SAMPLES:
            messages = self._queue.receive(limit=RECEIVE_LIMIT)
            if not messages:
                break
            empty = False
            readable = self._read(messages, report)
            received += readable
            samples += sum(len(batch.entries) for _, batch in readable)
        return None if empty else received

    def _read(self, messages: Sequence[Message], report: CollectionReport) -> Received:
        now = self._clock()
        readable: Received = []
        for message in messages:
            report.messages += 1
            age = (now - message.sent_at).total_seconds()
            report.lag_seconds = max(report.lag_seconds, age)
            try:
                readable.append((message, unpack(message.body)))
            except (MessageError, InvalidInputError) as error:
                self._bury(message, str(error), report)
        return readable

    def _bury(self, message: Message, reason: str, report: CollectionReport) -> None:
        logger.error("message %s is set aside as a dead letter: %s", message.id, reason)
        self._queue.bury(message, reason)
        report.buried += 1

    def _write(self, received: Received, report: CollectionReport) -> None:
        """Store all of it at once; if the database refuses, by halves, to find what it refuses."""
        if not received:
            return
        messages = [message for message, _ in received]
        window = SampleWindow.at(self._clock(), kept_days=self._rules.retention_days)
        drain = drain_of(received, window, home_cluster=self._rules.home_cluster)
        try:
            report.samples += self._sink.store(drain)
        except UnavailableError:
            raise
        except DomainError as error:
            if len(received) == 1:
                self._bury(messages[0], str(error), report)
                return
            self._queue.extend(messages, seconds=HIDDEN_SECONDS)
            middle = len(received) // 2
            self._write(received[:middle], report)
            self._write(received[middle:], report)
            return
        self._queue.delete(messages)


@contextmanager
def _no_search_for_cycles() -> Iterator[None]:
    """Leave garbage to reference counts: rows by the thousand hold no cycles.

    Looking for cycles among them again and again takes a fifth of the collector's time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
