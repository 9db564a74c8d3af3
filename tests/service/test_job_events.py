"""Events become jobs with the right audit trail, also if many arrive at the same moment."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from hpcobs.domain.errors import InvalidStateError, JobNotFoundError
from hpcobs.domain.events import JobFinished
from hpcobs.domain.lifecycle.runs import exit_status
from hpcobs.domain.nodes import NodeReport
from hpcobs.domain.states import JobState
from hpcobs.service.job_events import JobEvents
from tests.builders import AUDIT, ORIGIN, at, finished, scheduler_job, started

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.domain.events import JobStarted
    from hpcobs.domain.jobs import Job
    from hpcobs.storage.store import PostgresStore

    Message = JobStarted | JobFinished


@pytest.fixture
def events(store: PostgresStore) -> JobEvents:
    return JobEvents(store, ORIGIN)


def the_job(store: PostgresStore) -> Job:
    job = store.jobs.get("1")
    assert job is not None
    return job


def trail(store: PostgresStore) -> list[str]:
    return [event.change_type for event in store.audit.of_job("1")]


def send(events: JobEvents, message: Message) -> str:
    if isinstance(message, JobFinished):
        return events.job_finished(message, AUDIT).status
    return events.job_started(message, AUDIT).status


def test_unchanged_view_writes_no_audit_row(events: JobEvents, store: PostgresStore) -> None:
    for observed in (0, 600):
        events.sync([scheduler_job("RUNNING", observed, start_time=at(0))], [], AUDIT)
    assert the_job(store).scheduler_seen_at == at(600)
    assert trail(store) == ["upsert"]


def test_each_change_writes_one_audit_row(events: JobEvents, store: PostgresStore) -> None:
    assert send(events, started()) == "created"
    assert send(events, started()) == "skipped"
    assert send(events, started(1, name="train")) == "updated"
    assert send(events, finished(60, exit_code=3)) == "updated"
    assert send(events, finished(60, exit_code=3)) == "skipped"
    assert exit_status(the_job(store)) == (JobState.FAILED, 3, 0)
    assert trail(store) == ["upsert", "update", "update"]


def test_end_of_unknown_job_needs_user_and_nodes(events: JobEvents, store: PostgresStore) -> None:
    with pytest.raises(JobNotFoundError):
        send(events, finished())
    assert store.jobs.get("1") is None
    assert send(events, finished(user="ada", nodes=("n1",))) == "updated"
    assert the_job(store).state is JobState.COMPLETED


def test_end_with_open_state_changes_nothing(events: JobEvents, store: PostgresStore) -> None:
    send(events, started())
    with pytest.raises(InvalidStateError):
        send(events, finished(60, "running"))
    assert trail(store) == ["upsert"]


def test_two_node_job_ends_with_second_node(events: JobEvents, store: PostgresStore) -> None:
    send(events, started(nodes=("n1", "n2")))
    assert send(events, finished(60, node="n1", exit_code=5)) == "updated"
    assert the_job(store).state is JobState.RUNNING
    assert send(events, finished(60, node="n1", exit_code=5)) == "skipped"
    assert send(events, finished(61, node="n2", exit_code=5)) == "updated"
    assert exit_status(the_job(store)) == (JobState.FAILED, 5, 0)
    assert trail(store) == ["upsert", "update"]


def test_simultaneous_node_ends_end_job_once(
    events: JobEvents, store: PostgresStore, make_store: Callable[[], PostgresStore]
) -> None:
    nodes = tuple(f"n{number}" for number in range(8))
    send(events, started(nodes=nodes))
    results: list[str] = []

    def end(node: str) -> None:
        results.append(send(JobEvents(make_store(), ORIGIN), finished(60, node=node)))

    threads = [threading.Thread(target=end, args=(node,)) for node in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["updated"] * 8
    assert the_job(store).state is JobState.COMPLETED
    assert trail(store) == ["upsert", "update"]


def test_simultaneous_prologs_create_one_job(
    store: PostgresStore, make_store: Callable[[], PostgresStore]
) -> None:
    results: list[str] = []

    def begin(number: int) -> None:
        event = started(nodes=("n1", "n2"), node=f"n{number}")
        results.append(send(JobEvents(make_store(), ORIGIN), event))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["created", *["skipped"] * 7]
    assert trail(store) == ["upsert"]


def test_sync_creates_and_corrects_job_by_job(events: JobEvents, store: PostgresStore) -> None:
    send(events, started())
    send(events, finished())
    cancelled = scheduler_job(
        "CANCELLED", 70, start_time=at(0), end_time=at(60), exit_code=0, signal=15
    )
    other = scheduler_job("RUNNING", 70, job_id="2", start_time=at(5))
    invalid = scheduler_job("RUNNING", 70, job_id="3", name="a\0b")
    node = NodeReport(node="n1", state="idle", cpus=4)
    results = events.sync([cancelled, invalid, other], [node], AUDIT)
    assert [(r.job_id, r.status) for r in results] == [
        ("1", "updated"),
        ("3", "failed"),
        ("2", "created"),
    ]
    assert the_job(store).state is JobState.CANCELLED
    assert trail(store) == ["upsert", "update", "correction"]
