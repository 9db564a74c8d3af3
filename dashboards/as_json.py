"""Dashboards as the JSON that Grafana imports.

The format is Grafana's "Dashboard JSON model", schema version 39 (Grafana 10.4 and later). This
module writes only the fields that our dashboards use. Why it does not use Grafana's own builders:
docs/adr/0024-dashboards-without-builders.md.
"""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from dashboards.model import SITE

if TYPE_CHECKING:
    from dashboards.model import Dashboard, Panel, Query, Variable

SCHEMA_VERSION = 39
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
REFERENCES = ascii_uppercase
SITES = "label_values(hpc_job_total, instance)"


def to_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": list(dashboard.tags),
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "links": [_links_to_others()],
        "templating": {
            "list": [
                _datasource(),
                _choice("site", SITES, many=not dashboard.one_site),
                *map(_variable, dashboard.variables),
            ]
        },
        "panels": _laid_out(dashboard.panels),
    }


def _links_to_others() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "hpcobs",
        "tags": ["hpcobs"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}


def _variable(variable: Variable) -> dict[str, Any]:
    """Return a selection list of the label's values at the chosen sites."""
    values = f"label_values({variable.metric}{{{SITE}}}, {variable.label})"
    return _choice(variable.name, values, many=variable.many)


def _choice(name: str, values: str, *, many: bool) -> dict[str, Any]:
    everything = {"allValue": ".*", "current": {"text": "All", "value": "$__all"}}
    return {
        "name": name,
        "label": name.replace("_", " ").capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": values, "refId": "A"},
        # Query the values again whenever the time range changes, since jobs come and go.
        "refresh": 2,
        "sort": 1,
        "multi": many,
        "includeAll": many,
        **(everything if many else {"current": {}}),
    }


def _laid_out(panels: tuple[Panel, ...]) -> list[dict[str, Any]]:
    placed = []
    left = top = row_height = 0
    for number, panel in enumerate(panels, start=1):
        if left + panel.width > WIDTH:
            left, top, row_height = 0, top + row_height, 0
        position = {"x": left, "y": top, "w": panel.width, "h": panel.height}
        placed.append({"id": number, "gridPos": position, **_panel(panel)})
        left, row_height = left + panel.width, max(row_height, panel.height)
    return placed


def _panel(panel: Panel) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [_target(panel, *pair) for pair in zip(REFERENCES, panel.queries, strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
    }
    if panel.kind == "table":
        properties["transformations"] = _as_columns(panel)
    return properties


def _target(panel: Panel, reference: str, query: Query) -> dict[str, Any]:
    instant = panel.kind != "timeseries"
    return {
        "refId": reference,
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": instant,
        "range": not instant,
        "format": "table" if panel.kind == "table" else "time_series",
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.thresholds]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "links": [{"title": title, "url": url} for title, url in panel.links],
    }
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "fillOpacity": 10,
            "showPoints": "never",
            # Draw a line across gaps of up to two minutes: a missed scrape is not an outage.
            "spanNulls": 120_000,
            "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
        }
    return defaults


def _overrides(panel: Panel) -> list[dict[str, Any]]:
    """Return the units of columns that have their own, and the colour of the first column."""
    units = [_of_column(query, "unit", query.unit) for query in panel.queries if query.unit]
    if panel.kind == "table" and panel.thresholds:
        coloured = {"type": "color-text"}
        return [*units, _of_column(panel.queries[0], "custom.cellOptions", coloured)]
    return units


def _of_column(query: Query, name: str, value: Any) -> dict[str, Any]:
    matcher = {"id": "byName", "options": query.legend}
    return {"matcher": matcher, "properties": [{"id": name, "value": value}]}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
        return {
            "legend": {**legend, "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.kind == "table":
        order = {"displayName": panel.queries[0].legend, "desc": not panel.ascending}
        return {"showHeader": True, "cellHeight": "sm", "sortBy": [order]}
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "none",
    }


def _as_columns(panel: Panel) -> list[dict[str, Any]]:
    """Return the steps to one row per set of labels, and one column per query with its legend."""
    # Grafana calls the column of a single query "Value", and those of several "Value #A" and so on.
    names = {"instance": "site", "Value": panel.queries[0].legend}
    for reference, query in zip(REFERENCES, panel.queries, strict=False):
        names[f"Value #{reference}"] = query.legend
    excluded = {"Time": True, "job": True, "shard": True, "__name__": True}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"renameByName": names, "excludeByName": excluded}},
    ]
