"""The dashboards' files are what Grafana reads, and ask only for what there is."""

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
"""Of Grafana's ids of units, those in use here; another one is to be looked up before it is."""

of_each = pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)


@of_each
def test_the_file_is_what_the_code_makes(dashboard: Dashboard) -> None:
    assert path_of(dashboard).read_text() == text_of(dashboard), "run: python -m dashboards"


@of_each
def test_grafanas_own_models_know_every_field(dashboard: Dashboard) -> None:
    plugins.register_default_plugins()
    ours = to_json(dashboard)
    assert_holds(json.loads(json.dumps(GrafanasDashboard.from_json(ours), cls=JSONEncoder)), ours)


def assert_holds(theirs: Any, ours: Any, path: str = "") -> None:
    """What was read is all that was written: a field that is not known would be lost."""
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
def test_panels_fill_their_rows_and_cover_none_of_another(dashboard: Dashboard) -> None:
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


def test_no_two_dashboards_have_one_address_or_title() -> None:
    assert len({each.uid for each in DASHBOARDS}) == len(DASHBOARDS)
    assert len({each.title for each in DASHBOARDS}) == len(DASHBOARDS)


def panels() -> Iterator[tuple[Dashboard, Panel]]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            yield dashboard, panel


def queries() -> Iterator[Query]:
    for _, panel in panels():
        yield from panel.queries


def test_every_panel_says_what_its_numbers_are() -> None:
    for dashboard, panel in panels():
        where = f"{dashboard.uid}: {panel.title}"
        assert panel.unit in UNITS, where
        assert {query.unit for query in panel.queries} <= {"", *UNITS}, where
        legends = [query.legend for query in panel.queries]
        assert panel.kind == "stat" or all(legends), where
        assert len(set(legends)) == len(legends), where


def test_every_target_is_of_the_chosen_source() -> None:
    for dashboard in DASHBOARDS:
        for panel in to_json(dashboard)["panels"]:
            assert panel["datasource"] == DATASOURCE
            assert all(target["datasource"] == DATASOURCE for target in panel["targets"])


def recorded() -> set[str]:
    """The names of the recording rules."""
    groups = yaml.safe_load((FOLDER / "rules" / "recording.yml").read_text())["groups"]
    return {rule["record"] for group in groups for rule in group["rules"]}


def scraped() -> set[str]:
    """The names of series that Prometheus has, of ours and of its own."""
    ours = {family.name for family in FAMILIES if family.type != "histogram"}
    ours |= {
        f"{family.name}_{part}"
        for family in FAMILIES
        if family.type == "histogram"
        for part in ("bucket", "sum", "count")
    }
    return ours | {"scrape_samples_scraped", "scrape_duration_seconds"}


SELECTOR = re.compile(r"\b((?:hpc|storage|scrape)_\w+|hpcobs:\w+:\w+)(\{[^}]*\})?")


def test_queries_ask_for_what_there_is_and_of_the_chosen_sites_only() -> None:
    known = scraped() | recorded()
    for query in queries():
        selectors = SELECTOR.findall(query.expression)
        assert selectors, query
        for name, labels in selectors:
            assert name in known, query
            assert 'instance=~"$site"' in labels, query


@of_each
def test_every_choice_is_made_use_of_and_every_one_used_can_be_made(dashboard: Dashboard) -> None:
    text = " ".join(query.expression for panel in dashboard.panels for query in panel.queries)
    offered = {"site", *(variable.name for variable in dashboard.variables)}
    assert set(re.findall(r"\$(\w+)", text)) == offered


def test_every_family_is_on_some_dashboard() -> None:
    text = " ".join(query.expression for query in queries())
    assert [family.name for family in FAMILIES if family.name not in text] == []


def test_links_lead_to_dashboards_and_carry_columns_that_are_there() -> None:
    uids = {each.uid for each in DASHBOARDS}
    for _, panel in panels():
        for _, address in panel.links:
            assert re.findall(r"^/d/([\w-]+)\?", address)[0] in uids
            columns = set(re.findall(r"__data\.fields\.(\w+)", address))
            assert columns == {"site", "job_id"}
            for query in panel.queries:
                assert "(instance, job_id, " in query.expression


def test_provisioning_puts_the_files_where_it_looks_for_them() -> None:
    folder = FOLDER / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards.yml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    assert provider["options"]["path"] in (folder.parents[1] / "docs/prometheus.md").read_text()
    (source,) = yaml.safe_load((folder / "datasources.yml").read_text())["datasources"]
    assert source["type"] == DATASOURCE["type"]
