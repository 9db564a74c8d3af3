"""The dashboards' JSON files: Grafana accepts them, and their queries use existing metrics."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanasDashboard

from dashboards.__main__ import DASHBOARDS, path_of, text_of
from dashboards.as_json import DATASOURCE, to_json
from dashboards.model import Dashboard, Panel, Query
from hpcobs.exposition.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "dashboards"
UNITS = {
    *("short", "percent", "percentunit", "bytes", "s", "watt", "celsius", "cps", "ops"),
    "currencyUSD",
}
"""The ids of Grafana's units in use. Look another one up before you add it."""

of_each = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


@of_each
def test_json_files_are_current(dashboard: Dashboard) -> None:
    assert path_of(dashboard).read_text() == text_of(dashboard), "run: python -m dashboards"


@of_each
def test_grafana_models_accept_every_field(dashboard: Dashboard) -> None:
    plugins.register_default_plugins()
    ours = to_json(dashboard)
    assert_holds(json.loads(json.dumps(GrafanasDashboard.from_json(ours), cls=JSONEncoder)), ours)


def assert_holds(theirs: Any, ours: Any, path: str = "") -> None:
    """Check that Grafana's models kept every field: they lose a field that they do not know."""
    if isinstance(ours, dict):
        for name, value in ours.items():
            assert name in theirs, f"{path}.{name}"
            assert_holds(theirs[name], value, f"{path}.{name}")
    elif isinstance(ours, list):
        assert len(theirs) == len(ours), path
        for index, (their, our) in enumerate(zip(theirs, ours, strict=True)):
            assert_holds(their, our, f"{path}[{index}]")
    else:
        assert theirs == ours, path


@of_each
def test_panels_fill_rows_without_overlap(dashboard: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    widths: dict[int, int] = {}
    panels = to_json(dashboard)["panels"]
    for place in (panel["gridPos"] for panel in panels):
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken
        taken |= cells
        widths[place["y"]] = widths.get(place["y"], 0) + place["w"]
    assert set(widths.values()) == {24}
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_uids_and_titles_are_unique() -> None:
    assert len({each.uid for each in DASHBOARDS}) == len(DASHBOARDS)
    assert len({each.title for each in DASHBOARDS}) == len(DASHBOARDS)


def panels() -> Iterator[tuple[Dashboard, Panel]]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            yield dashboard, panel


def queries() -> Iterator[Query]:
    for _, panel in panels():
        yield from panel.queries


def test_every_panel_has_unit_and_legends() -> None:
    for dashboard, panel in panels():
        where = f"{dashboard.uid}: {panel.title}"
        assert panel.unit in UNITS, where
        assert {query.unit for query in panel.queries} <= {"", *UNITS}, where
        legends = [query.legend for query in panel.queries]
        assert panel.kind == "stat" or all(legends), where
        assert len(set(legends)) == len(legends), where


def test_every_target_uses_chosen_source() -> None:
    for dashboard in DASHBOARDS:
        for panel in to_json(dashboard)["panels"]:
            assert panel["datasource"] == DATASOURCE
            assert all(target["datasource"] == DATASOURCE for target in panel["targets"])


def recorded() -> set[str]:
    """Return the names of the recording rules."""
    groups = yaml.safe_load((FOLDER / "rules" / "recording.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def scraped() -> set[str]:
    """Return the names of the series in Prometheus: ours, and its own of scrapes."""
    ours = {family.name for family in FAMILIES if family.type != "histogram"}
    ours |= {
        f"{family.name}_{part}"
        for family in FAMILIES
        if family.type == "histogram"
        for part in ("bucket", "sum", "count")
    }
    return ours | {"scrape_samples_scraped", "scrape_duration_seconds"}


SELECTOR = re.compile(r"\b((?:hpc|storage|scrape)_\w+|hpcobs:\w+:\w+)(\{[^}]*\})?")


def test_queries_use_known_metrics_of_chosen_sites() -> None:
    known = scraped() | recorded()
    for query in queries():
        selectors = SELECTOR.findall(query.expression)
        assert selectors, query
        for name, labels in selectors:
            assert name in known, query
            assert 'instance=~"$site"' in labels, query


@of_each
def test_offered_and_used_variables_match(dashboard: Dashboard) -> None:
    text = " ".join(query.expression for panel in dashboard.panels for query in panel.queries)
    offered = {"site", *(variable.name for variable in dashboard.variables)}
    assert set(re.findall(r"\$(\w+)", text)) == offered


def test_every_metric_family_is_on_dashboard() -> None:
    text = " ".join(query.expression for query in queries())
    assert [family.name for family in FAMILIES if family.name not in text] == []


def test_links_use_existing_dashboards_and_columns() -> None:
    uids = {each.uid for each in DASHBOARDS}
    for _, panel in panels():
        for _, address in panel.links:
            assert re.findall(r"^/d/([\w-]+)\?", address)[0] in uids
            columns = set(re.findall(r"__data\.fields\.(\w+)", address))
            assert columns == {"site", "job_id"}
            for query in panel.queries:
                assert "(instance, job_id, " in query.expression


def test_provisioning_paths_match_page() -> None:
    folder = FOLDER / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards.yml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    assert provider["options"]["path"] in (folder.parents[1] / "docs/prometheus.md").read_text()
    (source,) = yaml.safe_load((folder / "datasources.yml").read_text())["datasources"]
    assert source["type"] == DATASOURCE["type"]
