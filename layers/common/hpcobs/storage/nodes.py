"""The cluster's nodes in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.nodes import NodeReport
    from hpcobs.storage.session import Session

_NODES = load("nodes")


class PostgresNodes:
    """See ``hpcobs.ports.jobs.NodeRepository``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def report(self, reports: Sequence[NodeReport]) -> None:
        """Store the controller's view of nodes, unless a newer view is stored."""
        parameters = {
            "names": [report.node for report in reports],
            "clusters": [report.cluster_name for report in reports],
            "states": [report.state for report in reports],
            "cpus": [report.cpus for report in reports],
            "memory_total_mb": [report.memory_total_mb for report in reports],
            "gpus": [report.gpus for report in reports],
            "cpu_load": [report.cpu_load for report in reports],
            "observed_at": [report.observed_at for report in reports],
        }
        with self._session.operation("node_report") as connection:
            connection.execute(_NODES["report"], parameters)
