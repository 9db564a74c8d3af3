"""Every family of the table reaches Prometheus with its type, its unit and its labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs.exposition.families import FAMILIES, Family
from tests.prometheus.server import promtool

if TYPE_CHECKING:
    from tests.local.services import Service
    from tests.prometheus.server import Prometheus

OLDER_NAMES = {
    'hpc_job_state_total non-counter metrics should not have "_total" suffix',
    'hpc_node_job_count non-histogram and non-summary metrics should not have "_count" suffix',
}
"""Names that sites' dashboards already use from the service before this one."""


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_family_arrives_with_type_and_labels(prometheus: Prometheus, family: Family) -> None:
    histogram = family.type == "histogram"
    name = f"{family.name}_bucket" if histogram else family.name
    selector = f'{name}{{job="living"}}'
    prometheus.wait_until(lambda: prometheus.query(selector), 60)
    labels = {label for found, _ in prometheus.query(selector) for label in found}
    expected = {"__name__", *family.labels, *(["le"] if histogram else [])}
    # Only nodes of other clusters have the cluster in their labels.
    assert labels == expected - ({"cluster"} if "node" in expected else set())
    # OpenMetrics, which Prometheus asks for, knows a counter by its name without the suffix.
    known_as = name.removesuffix("_total") if family.type == "counter" else family.name
    metadata = prometheus.get("/api/v1/metadata", metric=known_as)[known_as]
    assert {(one["type"], one["help"]) for one in metadata} == {(family.type, family.help)}
    assert {one["unit"] for one in metadata} <= {"", family.unit}


def test_promtool_warns_only_about_older_names(still: Service) -> None:
    with still.client() as client:
        text = client.get("/metrics").text
    checked = promtool("check", "metrics", text=text)
    assert set(checked.stderr.splitlines()) == OLDER_NAMES, checked.stdout
