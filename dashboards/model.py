"""Dashboards and panels, and the JSON in which Grafana keeps them.

The format is Grafana's "Dashboard JSON model", schema version 39 (Grafana 10.4 and later). Only
what is used here is known here: a few lines do, where a generator of the whole model would be a
large dependency whose releases follow Grafana's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 39
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression; ``legend`` names its series by their labels, ``{{user}}``."""

    expression: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. ``unit`` is Grafana's id of a unit; ``thresholds`` colour from a value on."""

    title: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    description: str = ""
    maximum: float | None = None
    thresholds: tuple[tuple[float, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A choice at the top of a dashboard: the values of ``label`` on the series of ``metric``."""

    name: str
    metric: str
    label: str
    many: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A dashboard; its panels are laid out from left to right, row by row."""

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    tags: tuple[str, ...] = field(default=("hpcobs",))


def to_json(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
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
        "links": [_to_the_others()],
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "panels": _laid_out(dashboard.panels),
    }


def _to_the_others() -> dict[str, Any]:
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
    return {
        "name": variable.name,
        "label": variable.name.replace("_", " ").capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({variable.metric}, {variable.label})", "refId": "A"},
        "refresh": 2,
        "sort": 1,
        "multi": variable.many,
        "includeAll": variable.many,
        "allValue": ".*" if variable.many else None,
        "current": {"text": "All", "value": "$__all"} if variable.many else {},
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
    made: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [_target(panel, *pair) for pair in zip("ABCDEF", panel.queries, strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
    }
    if panel.kind == "table":
        made["transformations"] = _as_columns(panel)
    return made


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
        defaults["custom"] = {"fillOpacity": 10, "showPoints": "never", "spanNulls": 120_000}
    return defaults


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "timeseries":
        legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value"}


def _as_columns(panel: Panel) -> list[dict[str, Any]]:
    """One row for each set of labels, one column for each query, named by its legend."""
    names = {
        f"Value #{reference}": query.legend
        for reference, query in zip("ABCDEF", panel.queries, strict=False)
    }
    names["Value"] = panel.queries[0].legend
    excluded = {"Time": True, "instance": True, "job": True, "__name__": True}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"renameByName": names, "excludeByName": excluded}},
    ]
