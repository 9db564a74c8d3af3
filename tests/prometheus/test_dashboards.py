"""Every query of every dashboard has a result on a living cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dashboards.__main__ import DASHBOARDS
from dashboards.model import Panel, Query
from hpcobs.exposition.families import FAMILIES, Family
from tests.prometheus.server import Prometheus, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.local.services import Service

RULES = Path(__file__).parents[2] / "dashboards" / "rules"
PANELS = {
    f"{dashboard.uid}: {panel.title}": panel
    for dashboard in DASHBOARDS
    for panel in dashboard.panels
}
SECONDS = 60.0


@pytest.fixture(scope="module")
def prometheus(living: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Start a Prometheus as a site would: one target, and the recording rules."""
    site = Site("hpcobs", living.url, living.folder / "token")
    rules = sorted(RULES.glob("*.yml"))
    with Prometheus(tmp_path_factory.mktemp("prometheus"), site, rule_files=rules) as running:
        yield running


def filled(query: Query, job_id: str) -> str:
    """Return the expression as Grafana sends it for one job and all values of other variables."""
    expression = query.expression.replace("$job_id", job_id)
    for name in ("site", "cluster", "partition", "user", "node", "gpu_vendor"):
        expression = expression.replace(f"${name}", ".*")
    return expression


def job_with_gpus(prometheus: Prometheus) -> str:
    """Return the id of a running job with values in every family, or an empty text."""
    found = prometheus.query(
        "hpc_job_info and on (job_id) hpc_job_gpu_device_utilization_percent"
        " and on (job_id) hpcobs:job_memory:ratio"
    )
    return found[0][0]["job_id"] if found else ""


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_every_panel_has_data(prometheus: Prometheus, panel: Panel) -> None:
    prometheus.wait_until(lambda: job_with_gpus(prometheus), SECONDS)
    for query in panel.queries:
        prometheus.wait_until(
            lambda query=query: prometheus.query(filled(query, job_with_gpus(prometheus))), SECONDS
        )


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_familys_example_has_a_result(prometheus: Prometheus, family: Family) -> None:
    prometheus.wait_until(lambda: job_with_gpus(prometheus), SECONDS)
    # A comparison may match nothing: test the expression before it.
    expression = re.sub(r"\s(<|>|==)\s[\d.]+$", "", family.query)
    prometheus.wait_until(lambda: prometheus.query(expression), SECONDS)


def test_alerts_of_living_cluster_can_be_evaluated(prometheus: Prometheus) -> None:
    prometheus.wait_until(
        lambda: all(
            rule["health"] == "ok"
            for group in prometheus.get("/api/v1/rules")["groups"]
            for rule in group["rules"]
        )
    )
