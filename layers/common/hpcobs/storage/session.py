"""One storage call: timed, on a connection, with the driver's errors translated."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg

from hpcobs.storage.errors import translated
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from hpcobs.storage.connections import Connection
    from hpcobs.storage.timings import OperationTimings, Timing

logger = logging.getLogger(__name__)

FLUSH_EVERY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Session:
    """Where repositories run their calls; inside a transaction it is bound to its connection."""

    connection: Callable[[], AbstractContextManager[Connection]]
    timings: OperationTimings
    nested: bool = False

    @contextmanager
    def operation(self, name: str) -> Iterator[Connection]:
        """A connection for one operation, whose time and errors count under ``name``.

        The timings are written down afterwards if it is time to: an environment that only reads
        has no other moment for it.
        """
        with self.timings.measure(name), translated(), self.connection() as connection:
            yield connection
        self._flush_timings()

    def _flush_timings(self) -> None:
        """What cannot be written is dropped and said."""
        if self.nested or not self.timings.due(every_seconds=FLUSH_EVERY_SECONDS):
            return
        try:
            with self.connection() as connection:
                write_timings(connection, self.timings)
        except psycopg.Error:
            logger.warning("storage timings could not be written", exc_info=True)


def _array_text(timing: Timing) -> str:
    return "{" + ",".join(map(str, timing.observations)) + "}"


def write_timings(connection: Connection, timings: OperationTimings) -> None:
    """Append the differences since the last time; ``/metrics`` adds them up."""
    taken = timings.take()
    connection.execute(
        load("timings")["append"],
        {
            "operations": list(taken.timings),
            "observations": [_array_text(timing) for timing in taken.timings.values()],
            "seconds": [timing.seconds for timing in taken.timings.values()],
            "error_names": [f"storage_errors:{name}:{kind}" for name, kind in taken.errors],
            "error_counts": list(taken.errors.values()),
        },
    )
