"""Durations of storage operations are added up and stored, and every failure has its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs.domain import errors
from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.session import write_timings
from hpcobs.storage.timings import BUCKETS_SECONDS, ErrorType, OperationTimings, error_type
from tests.builders import AUDIT, running_job

if TYPE_CHECKING:
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.JobNotFoundError("1"), "not_found"),
        (errors.AlreadyExistsError("1"), "conflict"),
        (errors.JobTerminalError("1", "failed"), "job_terminal"),
        (errors.InvalidInputError("a", "b"), "invalid_input"),
        (errors.UnavailableError("slow", deadline=True), "context_deadline"),
        (errors.UnavailableError("away"), "unknown"),
        (KeyboardInterrupt(), "context_canceled"),
        (ZeroDivisionError(), "unknown"),
    ],
)
def test_error_type_of_failure(error: BaseException, kind: str) -> None:
    assert error_type(error) == kind


def test_operations_and_errors_are_counted(store: PostgresStore, timings: OperationTimings) -> None:
    store.jobs.add(running_job(), AUDIT)
    with pytest.raises(errors.AlreadyExistsError):
        store.jobs.add(running_job(), AUDIT)
    assert not store.jobs.create(running_job(), AUDIT)  # an event that comes twice is no failure
    store.jobs.get("nope")
    assert sum(timings.timings["job_create"].observations) == 3
    assert timings.errors == {
        ("job_create", ErrorType.CONFLICT): 1,
        ("job_get", ErrorType.NOT_FOUND): 1,
    }


def test_reading_environment_flushes_timings(
    store: PostgresStore, timings: OperationTimings, query: Query
) -> None:
    timings.taken_at -= 60
    store.jobs.get("nope")
    assert query("SELECT operation FROM operation_timing_sums") == [("job_get",)]
    assert timings.timings == {}


def test_timings_of_environments_add_up(database_url: str, query: Query) -> None:
    connections = SingleConnection(connect_arguments(Settings(database_url=database_url)))
    for _ in range(3):
        timings = OperationTimings()
        with timings.measure("job_get"):
            pass
        timings.failed("job_get", ErrorType.NOT_FOUND)
        with connections.connection() as connection:
            write_timings(connection, timings)
        query("SELECT fold_operation_timings()")
    ((operation, observations, seconds),) = query("SELECT * FROM operation_timing_sums")
    assert (operation, sum(observations)) == ("job_get", 3)
    assert len(observations) == len(BUCKETS_SECONDS) + 1
    assert seconds > 0
    assert query("SELECT * FROM counter_values") == [("storage_errors:job_get:not_found", 3)]
    connections.close()


def test_statement_timeout_is_deadline(database_url: str) -> None:
    connections = SingleConnection(
        connect_arguments(Settings(database_url=database_url)), statement_timeout_seconds=0.05
    )
    from hpcobs.storage.session import Session

    session = Session(connections.connection, OperationTimings())
    with pytest.raises(errors.UnavailableError) as caught, session.operation("slow") as connection:
        connection.execute("SELECT pg_sleep(5)")
    assert caught.value.deadline
    connections.close()
