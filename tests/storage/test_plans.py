"""Hot queries use their indexes: no scan and no sort of all jobs, however many there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.queries import JobFilter
from hpcobs.domain.states import JobState
from hpcobs.storage.jobs import _page_parameters
from hpcobs.storage.queries import load
from tests.builders import at
from tests.plans import Plan, filled, plan, steps

if TYPE_CHECKING:
    from collections.abc import Iterator

FILL = """
INSERT INTO jobs (id, user_name, nodes, node_count, state, start_time, partition, account,
                  cluster_name, name)
SELECT n::text, 'user' || n % 50, 'n' || n % 100, 1,
       CASE WHEN n % 1000 = 0 THEN 'running' ELSE 'completed' END,
       '2026-11-02T08:00Z'::timestamptz + n * interval '1 second', 'p' || n % 5, 'a' || n % 20,
       'c' || n % 3, 'name' || n % 500
FROM generate_series(1, 30000) AS n;
INSERT INTO job_nodes (job_id, node, start_time) SELECT id, nodes, start_time FROM jobs;
ANALYZE jobs;
ANALYZE job_nodes;
"""


@pytest.fixture(scope="module")
def full(module_database_url: str) -> Iterator[psycopg.Connection]:
    with filled(module_database_url, FILL) as connection:
        yield connection


def joined(top: Plan) -> list[Plan]:
    """Return the two sides of a page's plan: the bounded count, and the page."""
    return top["Plans"] if len(top["Plans"]) == 2 else joined(top["Plans"][0])


FILTERS = {
    "all": JobFilter(),
    "state": JobFilter(state=JobState.FAILED),
    "user": JobFilter(user="user7"),
    "partition": JobFilter(partition="p1"),
    "account": JobFilter(account="a3"),
    "cluster": JobFilter(cluster="c1"),
    "node": JobFilter(node="n7"),
    "after": JobFilter(started_after=at(29_000)),
    "before": JobFilter(started_before=at(1_000)),
    "id prefix": JobFilter(search="2999"),
}


@pytest.mark.parametrize("name", FILTERS)
def test_page_uses_index_and_bounds_total(full: psycopg.Connection, name: str) -> None:
    query = FILTERS[name]
    statement = load("pages")["page" if query.node is None else "page_of_node"]
    parameters = _page_parameters(query, None) | {"limit": 51, "offset": 0}
    count, page = joined(plan(full, statement, parameters))
    if parameters["counters"]:
        assert not [step for step in steps(count) if "jobs" in step]
    else:
        assert steps(count)[:2] == ["Aggregate", "Limit"]
    assert not {"Seq Scan jobs", "Seq Scan job_nodes"} & set(steps(page))
    assert "Sort" not in steps(page) or query.search is not None


@pytest.mark.parametrize("statement", ["get", "lock", "node_ends"])
def test_job_is_found_by_key(full: psycopg.Connection, statement: str) -> None:
    done = steps(plan(full, load("jobs")[statement], {"id": "17", "by": 1}))
    assert not any(step.startswith("Seq Scan") for step in done)
