"""One storage call: timed, on a connection, with the driver's errors translated."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg import errors as pg

from hpcobs.domain.errors import InvalidInputError, UnavailableError
from hpcobs.storage.connections import HungError
from hpcobs.storage.failures import ConnectError
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from hpcobs.storage.connections import Connection
    from hpcobs.storage.timings import OperationTimings, Timing

logger = logging.getLogger(__name__)

FLUSH_EVERY_SECONDS = 15.0


@contextmanager
def translated() -> Iterator[None]:
    """Translate the driver's errors into the domain's. No other place does.

    A lost or read-only database is UnavailableError, a value out of range InvalidInputError.
    """
    try:
        yield
    except pg.UniqueViolation:
        raise  # a caller that may meet one handles it: it means "stored already", not bad input
    except (psycopg.DataError, psycopg.IntegrityError, pg.ProgramLimitExceeded) as error:
        raise InvalidInputError("body", "a value is out of its range") from error
    except (pg.QueryCanceled, pg.LockNotAvailable, HungError) as error:
        raise UnavailableError("the database took too long", deadline=True) from error
    except ConnectError as error:
        driver = error.__cause__ or error
        raise UnavailableError("the database is not available", cause=str(error)) from driver
    # Read-only is "unavailable" too: after a failover the old address may lead to a standby.
    except (psycopg.OperationalError, psycopg.InterfaceError, pg.ReadOnlySqlTransaction) as error:
        raise UnavailableError("the database is not available") from error


@dataclass(frozen=True, slots=True)
class Session:
    """The connections and timings of repositories.

    Inside a transaction ``connection`` lends the transaction's, and ``nested`` is true.
    """

    connection: Callable[[], AbstractContextManager[Connection]]
    timings: OperationTimings
    nested: bool = False

    @contextmanager
    def operation(self, name: str) -> Iterator[Connection]:
        """Lend a connection for one operation. Count its time and errors under ``name``."""
        with self.timings.measure(name), translated(), self.connection() as connection:
            yield connection
        self._flush_timings()

    def _flush_timings(self) -> None:
        """Write the timings every 15 s. Log a failure, and drop the timings of those 15 s."""
        # Here, because an environment that only reads has no other moment for it. Not within a
        # transaction: a rollback would undo the write.
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
    """Append the differences since the last time. ``/metrics`` adds them up."""
    sums = timings.take()
    connection.execute(
        load("timings")["append"],
        {
            "operations": list(sums.timings),
            # As text: unnest() would split an array of arrays into single numbers.
            "observations": [_array_text(timing) for timing in sums.timings.values()],
            "seconds": [timing.seconds for timing in sums.timings.values()],
            "error_names": [f"storage_errors:{name}:{kind}" for name, kind in sums.errors],
            "error_counts": list(sums.errors.values()),
        },
    )
