"""The controller's view of nodes: the newest counts, and values that it lacks stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hpcobs.domain.nodes import NodeReport
from tests.builders import at

if TYPE_CHECKING:
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query

CLUSTERS = "SELECT cluster_name, name, state FROM nodes ORDER BY cluster_name"
STATES = "SELECT name, state, cpus FROM nodes ORDER BY name"


def n1(cluster: str = "lab", **fields: Any) -> NodeReport:
    return NodeReport(node="n1", cluster_name=cluster, **fields)


def test_older_view_changes_nothing(store: PostgresStore, query: Query) -> None:
    store.nodes.report([n1(state="idle", cpus=4, observed_at=at(60))])
    store.nodes.report([n1(state="down", observed_at=at(0))])
    assert query(STATES) == [("n1", "idle", 4)]
    store.nodes.report([n1(state="drain", observed_at=at(120))])
    assert query(STATES) == [("n1", "drain", 4)]


def test_fast_controller_clock_blocks_no_report(store: PostgresStore, query: Query) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    store.nodes.report([n1(state="idle", observed_at=ahead)])
    store.nodes.report([n1(state="down", observed_at=datetime.now(UTC))])
    assert query(STATES) == [("n1", "down", None)]


def test_clusters_nodes_of_one_name_are_two(store: PostgresStore, query: Query) -> None:
    both = [n1("lab", state="idle"), n1("b", state="down")]
    store.nodes.report(both)
    store.nodes.report([n1("b", state="drain", observed_at=datetime.now(UTC))])
    assert query(CLUSTERS) == [("b", "n1", "drain"), ("lab", "n1", "idle")]
