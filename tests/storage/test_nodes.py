"""The controller's view of nodes: the newest counts, and values that it lacks stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hpcobs.domain.nodes import NodeReport
from tests.builders import at

if TYPE_CHECKING:
    from hpcobs.storage.store import PostgresStore
    from tests.stores import Query

STATES = "SELECT name, state, cpus FROM nodes ORDER BY name"


def test_older_view_changes_nothing(store: PostgresStore, query: Query) -> None:
    store.nodes.report([NodeReport(node="n1", state="idle", cpus=4, observed_at=at(60))])
    store.nodes.report([NodeReport(node="n1", state="down", observed_at=at(0))])
    assert query(STATES) == [("n1", "idle", 4)]
    store.nodes.report([NodeReport(node="n1", state="drain", observed_at=at(120))])
    assert query(STATES) == [("n1", "drain", 4)]


def test_fast_controller_clock_blocks_no_report(store: PostgresStore, query: Query) -> None:
    ahead = datetime.now(UTC) + timedelta(hours=1)
    store.nodes.report([NodeReport(node="n1", state="idle", observed_at=ahead)])
    store.nodes.report([NodeReport(node="n1", state="down", observed_at=datetime.now(UTC))])
    assert query(STATES) == [("n1", "down", None)]
