"""Durations and failures of storage operations, added up in this process.

``take`` returns the differences since its last call, because each environment of a function has its
own part only, and ``/metrics`` adds up all of them.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from hpcobs.domain import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram's buckets; one more, unbounded, follows."""


class ErrorType(StrEnum):
    """The kind of a failure: the values of ``storage_operation_errors_total``'s label."""

    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    JOB_TERMINAL = "job_terminal"
    INVALID_INPUT = "invalid_input"
    CANCELED = "context_canceled"
    DEADLINE = "context_deadline"
    UNKNOWN = "unknown"


_ERROR_TYPES: tuple[tuple[type[BaseException], ErrorType], ...] = (
    (errors.NotFoundError, ErrorType.NOT_FOUND),
    (errors.AlreadyExistsError, ErrorType.CONFLICT),
    (errors.JobTerminalError, ErrorType.JOB_TERMINAL),
    (errors.InvalidInputError, ErrorType.INVALID_INPUT),
    (KeyboardInterrupt, ErrorType.CANCELED),
    (GeneratorExit, ErrorType.CANCELED),
)


def error_type(error: BaseException) -> ErrorType:
    """Return the kind of failure that ``error`` is."""
    # Before the table: a lost connection is the same class, but an unknown failure.
    if isinstance(error, errors.UnavailableError) and error.deadline:
        return ErrorType.DEADLINE
    for kind, name in _ERROR_TYPES:
        if isinstance(error, kind):
            return name
    return ErrorType.UNKNOWN


@dataclass(slots=True)
class Timing:
    """One operation's observations per bucket, and the sum of their seconds."""

    observations: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_SECONDS) + 1))
    seconds: float = 0.0


@dataclass(slots=True)
class OperationTimings:
    """The sums since they were last taken."""

    timings: dict[str, Timing] = field(default_factory=dict)
    errors: dict[tuple[str, ErrorType], int] = field(default_factory=dict)
    taken_at: float = field(default_factory=time.monotonic)

    @contextmanager
    def measure(self, operation: str) -> Iterator[None]:
        """Time an operation, and count its error if it fails."""
        began = time.perf_counter()
        try:
            yield
        except BaseException as error:
            self.failed(operation, error_type(error))
            raise
        finally:
            self._observe(operation, time.perf_counter() - began)

    def failed(self, operation: str, kind: ErrorType) -> None:
        """Count a failure."""
        self.errors[operation, kind] = self.errors.get((operation, kind), 0) + 1

    def _observe(self, operation: str, seconds: float) -> None:
        timing = self.timings.setdefault(operation, Timing())
        timing.observations[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        timing.seconds += seconds

    def due(self, *, every_seconds: float) -> bool:
        """Return whether the last ``take`` was ``every_seconds`` ago and there is something new."""
        return bool(self.timings) and time.monotonic() - self.taken_at >= every_seconds

    def take(self) -> OperationTimings:
        """Return the sums, and start again from zero."""
        taken = OperationTimings(self.timings, self.errors, self.taken_at)
        self.timings, self.errors, self.taken_at = {}, {}, time.monotonic()
        return taken
