"""A walk through the pages of jobs has each job that was there when it began, whatever moves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpcobs.domain.audit import ChangeType
from hpcobs.domain.queries import JobFilter, Position
from hpcobs.http import cursors
from hpcobs.storage.jobs import _page_parameters
from hpcobs.storage.queries import load
from tests.builders import AUDIT, running_job
from tests.plans import filled, plan, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hpcobs.storage.store import PostgresStore

FILTERS = [JobFilter(), JobFilter(node="n2"), JobFilter(user="ada")]


def add(store: PostgresStore, job_id: str, seconds: float) -> None:
    job = running_job(seconds, job_id=job_id, nodes=("n1", "n2"), user="ada")
    store.jobs.add(job, AUDIT)


def move(store: PostgresStore, job_id: str, seconds: float) -> None:
    job = store.jobs.get(job_id)
    assert job is not None
    moved = replace(job, start_time=job.start_time + timedelta(seconds=seconds))
    store.jobs.save(moved, ChangeType.UPDATE, AUDIT)


def walk(
    store: PostgresStore,
    limit: int,
    between: Callable[[int], None] = lambda _: None,
    query: JobFilter = FILTERS[0],
) -> list[str]:
    """Walk through all pages, with something that happens after each. Return the jobs' ids."""
    seen: list[str] = []
    after: Position | None = None
    for number in range(200):
        page = store.jobs.page(query, limit=limit, after=after)
        seen += [job.id for job in page.jobs]
        if page.next_position is None:
            return seen
        # As a client receives and returns it.
        after = cursors.decode(cursors.encode(page.next_position))
        between(number)
    raise AssertionError("the walk does not end")


@pytest.mark.parametrize("query", FILTERS)
@pytest.mark.parametrize("limit", [1, 3])
def test_requeued_job_is_not_missed(store: PostgresStore, query: JobFilter, limit: int) -> None:
    for number in range(7):
        add(store, str(number), number)

    def requeue(page: int) -> None:
        if page == 0:
            move(store, "2", 1000)

    assert walk(store, limit, requeue, query) == ["6", "5", "4", "3", "1", "0", "2"]


def test_late_report_of_start_is_not_missed(store: PostgresStore) -> None:
    # The new start lies between the walk's first job and the place that it has reached.
    for number in range(7):
        add(store, str(number), 10 * number)
    seen = walk(store, 3, lambda page: move(store, "0", 45) if page == 0 else None)
    assert sorted(seen) == list("0123456")


def test_move_within_open_transaction_is_not_missed(
    store: PostgresStore, database_url: str
) -> None:
    for number in range(7):
        add(store, str(number), number)
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE jobs SET start_time = start_time + '1 h' WHERE id = '1'")
        seen = walk(store, 3, lambda page: connection.commit() if page == 0 else None)
    assert sorted(seen) == list("0123456")


def test_quiet_walk_has_each_job_once(store: PostgresStore) -> None:
    for number in range(7):
        add(store, str(number), 0)
        move(store, str(number), 60)
    assert walk(store, 2) == list("6543210")


def test_starts_of_dumped_database_end_no_walk(store: PostgresStore, database_url: str) -> None:
    for number in range(5):
        add(store, str(number), number)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE jobs SET start_moved_xid = 4000000000000")
    assert walk(store, 2) == list("43210")


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["ahead", "back", "add", "delete"]),
        st.integers(0, 9),
        st.integers(1, 100),
    ),
    max_size=4,
)


@given(
    starts=st.lists(st.integers(0, 8), min_size=1, max_size=10),
    limit=st.integers(1, 4),
    changes=st.lists(CHANGES, max_size=8),
    query=st.sampled_from(FILTERS),
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_walk_has_every_job_that_stayed(
    store: PostgresStore,
    database_url: str,
    *,
    starts: list[int],
    limit: int,
    changes: list[list[tuple[str, int, int]]],
    query: JobFilter,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("TRUNCATE jobs, job_nodes")
    for number, start in enumerate(starts):
        add(store, str(number), start)
    gone: set[str] = set()

    def change(page: int) -> None:
        for kind, number, seconds in changes[page] if page < len(changes) else ():
            job_id = str(number)
            if kind == "add" and store.jobs.get(f"new{page}") is None:
                add(store, f"new{page}", seconds)
            elif store.jobs.get(job_id) is None:
                continue
            elif kind == "delete":
                store.jobs.delete(job_id, AUDIT)
                gone.add(job_id)
            elif kind != "add":
                move(store, job_id, seconds if kind == "ahead" else -seconds)

    seen = walk(store, limit, change, query)
    assert {str(number) for number in range(len(starts))} - gone <= set(seen)
    if not any(changes):
        assert len(seen) == len(starts)


FILL = """
INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time)
SELECT n::text, 'user' || n % 50, 'n' || n % 100, 1, 'completed',
       '2026-11-02T08:00Z'::timestamptz + n * interval '1 second'
FROM generate_series(1, 30000) AS n;
INSERT INTO job_nodes (job_id, node, start_time) SELECT id, nodes, start_time FROM jobs;
UPDATE jobs SET start_moved_xid = id::bigint WHERE id::bigint % 3 = 0;
ANALYZE jobs;
ANALYZE job_nodes;
"""


@pytest.fixture(scope="module")
def full(module_database_url: str) -> Iterator[psycopg.Connection]:
    with filled(module_database_url, FILL) as connection:
        yield connection


@pytest.mark.parametrize("query", [JobFilter(), JobFilter(user="user7"), JobFilter(node="n7")])
def test_round_of_moved_jobs_scans_no_table(full: psycopg.Connection, query: JobFilter) -> None:
    position = replace(Position.of_next_round(29_900), began=29_990)
    statement = load("pages")["page" if query.node is None else "page_of_node"]
    parameters = _page_parameters(query, position) | {"limit": 51, "offset": 0}
    done = steps(plan(full, statement, parameters))
    assert not {"Seq Scan jobs", "Seq Scan job_nodes"} & set(done)
