"""Collection: the queue is drained into the database, each sample once in effect.

A load is written in one transaction and its messages are deleted after the commit. What fails in
between comes again, and counts once because a sample's key is unique.
"""

from __future__ import annotations

import gc
import logging
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.errors import DomainError, UnavailableError
from hpcobs.domain.samples import SampleWindow, Stored
from hpcobs.ports.clock import utc_now
from hpcobs.service import refusals
from hpcobs.service.receiving import Receiving
from hpcobs.service.write_batches import write_batch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpcobs.ports.clock import Clock
    from hpcobs.ports.queue import SampleQueue
    from hpcobs.ports.samples import SampleWriter
    from hpcobs.service.receiving import QueueBatch
    from hpcobs.service.scheduler_sync import SchedulerSync

logger = logging.getLogger(__name__)

RESERVE_SECONDS = 10.0
"""What storing the last load may take."""
HIDDEN_SECONDS = 120
HELD_LONG = timedelta(seconds=30)
"""Messages that were taken so long ago are hidden for longer before work on them begins."""
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
    """The use case of the collector's schedule.

    The queue is used by a thread while the sink is by another: they must not share a connection.
    """

    def __init__(
        self,
        queue: SampleQueue,
        sink: SampleWriter,
        rules: CollectionRules,
        *,
        scheduler_sync: SchedulerSync | None = None,
        clock: Clock = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._queue = queue
        self._sink = sink
        self._rules = rules
        self._scheduler_sync = scheduler_sync
        self._clock = clock
        self._sleep = sleep

    def run(self, remaining_seconds: Callable[[], float]) -> CollectionReport:
        """WriteBatch the queue in passes an interval apart, as long as the time lasts."""
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

        def in_time() -> bool:
            return remaining_seconds() > RESERVE_SECONDS

        if self._scheduler_sync is not None:
            # Before the samples: they may be of jobs that are only now heard of.
            report.jobs_changed += self._scheduler_sync.run(
                remaining_seconds, reserve_seconds=RESERVE_SECONDS * 2
            )
        # Before anything is taken from the queue: without the database it is better left there.
        self._settle(in_time, report)
        self._drain(in_time, report)
        self._sink.finish_run(finished_at=self._clock(), lag_seconds=report.lag_seconds)

    def _settle(self, in_time: Callable[[], bool], report: CollectionReport) -> None:
        """What waits for its job: stored, or given up. What goes wrong here stops nothing else."""
        settled = None
        try:
            while settled != Stored() and in_time():
                settled = self._sink.settle_waiting(give_up_before=self._clock() - WAIT_FOR_JOB)
                report.samples += settled
        except UnavailableError:
            raise
        except DomainError:
            logger.exception("the database refused samples that waited for their job")

    def _drain(self, in_time: Callable[[], bool], report: CollectionReport) -> None:
        receiving = Receiving(self._queue, clock=self._clock, in_time=in_time)
        with closing(receiving.batches()) as batches:
            for queue_batch in batches:
                report.samples += self._write(queue_batch)
        report.messages += receiving.messages
        report.buried += receiving.buried
        report.lag_seconds = receiving.lag_seconds

    def _write(self, queue_batch: QueueBatch) -> Stored:
        def hide() -> None:
            self._queue.extend(queue_batch.messages, seconds=HIDDEN_SECONDS)

        now = self._clock()
        if now - queue_batch.asked_at > HELD_LONG:
            hide()
        window = SampleWindow.at(now, kept_days=self._rules.retention_days)
        drain = write_batch_of(queue_batch.received, window, home_cluster=self._rules.home_cluster)
        stored = refusals.store(drain, self._sink, searching=hide)
        self._queue.delete(queue_batch.messages)
        return stored


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
