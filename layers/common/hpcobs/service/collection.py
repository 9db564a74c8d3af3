"""Collection: drain the queue into the database, so that each sample counts once.

A queue batch is written in one transaction, and its messages are deleted after the commit. Messages
that fail in between are delivered again, and their samples count once because a sample's key is
unique.
"""

from __future__ import annotations

import gc
import logging
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.errors import DomainError, UnavailableError
from hpcobs.domain.samples import SampleWindow, Stored
from hpcobs.ports.clock import continued, utc_now
from hpcobs.ports.samples import WriteBatch
from hpcobs.service.receiving import Receiving
from hpcobs.service.write_batches import rejected_by_database, write_batch_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpcobs.domain.samples import SampleLimits
    from hpcobs.ports.clock import Clock
    from hpcobs.ports.queue import SampleQueue
    from hpcobs.ports.samples import SampleWriter
    from hpcobs.service.receiving import QueueBatch
    from hpcobs.service.scheduler_sync import SchedulerSync

logger = logging.getLogger(__name__)

RESERVE_SECONDS = 10.0
"""The time that storing the last queue batch may take."""
HIDDEN_SECONDS = 120
RECEIVED_LONG_AGO = timedelta(seconds=30)
"""Messages received so long ago are hidden again before they are stored.

The queue's visibility time-out runs from the receive. Where it ends before the samples are stored,
another collector receives the messages and stores the same samples at the same time.
"""
# A start event may arrive after the job's first samples: while the site is unreachable, it waits in
# the spool of its sender.
WAIT_FOR_JOB = timedelta(minutes=10)
CLOCKS_DIFFER = timedelta(minutes=1)
"""The difference between this host's clock and the database's from which it is logged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRules:
    """A site's settings for collection."""

    home_cluster: str
    interval_seconds: float
    retention_days: int


@dataclass(slots=True)
class CollectionReport:
    """The counts of a run."""

    passes: int = 0
    messages: int = 0
    buried: int = 0
    samples: Stored = field(default_factory=Stored)
    lag_seconds: float = 0.0
    jobs_changed: int = 0


class Collection:
    """The use case of the collector's schedule.

    The database's clock is the one that all collectors share. So it decides which samples are from
    the future, and how long samples have waited.

    One thread uses the queue while another uses the writer: they must not share a connection.
    """

    def __init__(
        self,
        queue: SampleQueue,
        writer: SampleWriter,
        rules: CollectionRules,
        *,
        scheduler_sync: SchedulerSync | None = None,
        clock: Clock = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._queue = queue
        self._writer = writer
        self._rules = rules
        self._scheduler_sync = scheduler_sync
        self._clock = clock
        self._sleep = sleep

    def run(self, remaining_seconds: Callable[[], float]) -> CollectionReport:
        """Drain the queue in passes an interval apart, for as long as the time allows."""
        report = CollectionReport()
        while True:
            began = self._clock()
            with _no_cycle_detection():
                self._pass(remaining_seconds, report)
            took = (self._clock() - began).total_seconds()
            pause = max(0.0, self._rules.interval_seconds - took)
            if remaining_seconds() < pause + RESERVE_SECONDS:
                return report
            self._sleep(pause)

    def _pass(self, remaining_seconds: Callable[[], float], report: CollectionReport) -> None:
        report.passes += 1

        def has_time() -> bool:
            return remaining_seconds() > RESERVE_SECONDS

        if self._scheduler_sync is not None:
            # Before the samples, because some may be of jobs that this pass adds.
            report.jobs_changed += self._scheduler_sync.run(
                remaining_seconds, reserve_seconds=RESERVE_SECONDS * 2
            )
        # Before anything is received: without the database, messages should stay on the queue,
        # where a receive would count towards the dead letters.
        limits_now = self._limits(report)
        self._settle_waiting(has_time, report, limits_now)
        self._drain(has_time, report, limits_now)
        finished_at = limits_now().now
        self._writer.finish_run(finished_at=finished_at, lag_seconds=report.lag_seconds)

    def _limits(self, report: CollectionReport) -> Callable[[], SampleLimits]:
        """Read the limits of samples once. Return a function that brings their time up to date."""
        limits = self._writer.limits()
        ahead = self._clock() - limits.now
        if report.passes == 1 and abs(ahead) > CLOCKS_DIFFER:
            logger.warning(
                "this host's clock is %.0f s %s the database's, which counts: set one of them",
                abs(ahead.total_seconds()),
                "ahead of" if ahead > timedelta() else "behind",
            )
        now = continued(limits.now)
        return lambda: replace(limits, now=now())

    def _settle_waiting(
        self,
        has_time: Callable[[], bool],
        report: CollectionReport,
        limits: Callable[[], SampleLimits],
    ) -> None:
        """Store or reject samples that wait for their job. Log errors but UnavailableError."""
        settled = None
        try:
            while settled != Stored() and has_time():
                waited = limits().now - WAIT_FOR_JOB
                settled = self._writer.settle_waiting(reject_before=waited)
                report.samples += settled
        except UnavailableError:
            raise
        except DomainError:
            logger.exception("the database rejected samples that waited for their job")

    def _drain(
        self,
        has_time: Callable[[], bool],
        report: CollectionReport,
        limits: Callable[[], SampleLimits],
    ) -> None:
        receiving = Receiving(self._queue, clock=self._clock, has_time=has_time)
        with closing(receiving.batches()) as batches:
            for queue_batch in batches:
                report.samples += self._write(queue_batch, limits())
        report.messages += receiving.messages
        report.buried += receiving.buried
        report.lag_seconds = receiving.lag_seconds

    def _write(self, queue_batch: QueueBatch, limits: SampleLimits) -> Stored:
        def hide() -> None:
            self._queue.extend(queue_batch.messages, seconds=HIDDEN_SECONDS)

        now = self._clock()
        if now - queue_batch.requested_at > RECEIVED_LONG_AGO:
            hide()
        window = SampleWindow.at(limits, kept_days=self._rules.retention_days, now=now)
        batch = write_batch_of(queue_batch.received, window, home_cluster=self._rules.home_cluster)
        stored = self._store(batch, before_halving=hide)
        self._queue.delete(queue_batch.messages)
        return stored

    def _store(self, batch: WriteBatch, *, before_halving: Callable[[], None]) -> Stored:
        """Store a batch. If the database rejects it, store its halves, so that only bad rows fail.

        Halving finds a bad row among 5,000 in 13 steps. Each step takes time, so call
        ``before_halving`` first. Raise UnavailableError if the database is unavailable: the rows
        stored so far count once when they are delivered again.
        """
        try:
            return self._writer.store(batch)
        except UnavailableError:
            raise
        except DomainError as error:
            if len(batch) <= 1:
                return self._reject(batch, error)
        before_halving()
        first, second = batch.halves()
        stored = self._store(first, before_halving=before_halving)
        return stored + self._store(second, before_halving=before_halving)

    def _reject(self, batch: WriteBatch, error: DomainError) -> Stored:
        logger.error("the database rejected %s: %s", batch, error)
        why = f"the database rejected it: {error.details.get('reason', error)}"
        rejected = [rejected_by_database(sample, why) for sample in batch.samples]
        return self._writer.store(WriteBatch(samples=[], hosts=[], rejected=rejected))


@contextmanager
def _no_cycle_detection() -> Iterator[None]:
    """Leave garbage to reference counts: rows by the thousand hold no cycles.

    The search for cycles among them takes a fifth of the collector's time.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
