"""What dashboards are made of: choices, panels, queries."""

from __future__ import annotations

from dataclasses import dataclass, field

SITE = 'instance=~"$site"'
"""In every selector: job ids and nodes are a site's own, and one Prometheus may scrape several."""

JOB_LINK = (
    "/d/hpcobs-job?var-site=${__data.fields.site}&var-job_id=${__data.fields.job_id}"
    "&${datasource:queryparam}&${__url_time_range}"
)
"""From a row of a table, with columns "site" and "job_id", to the dashboard of that job."""


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression; ``legend`` names its series by their labels, ``{{user}}``.

    In a table ``legend`` heads its column, whose ``unit`` may be another than the panel's.
    """

    expression: str
    legend: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. ``unit`` is Grafana's id of a unit; ``thresholds`` colour from a value on.

    A table is sorted by its first query, from the largest unless ``ascending``. ``links`` are
    titles and addresses.
    """

    title: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 12
    height: int = 8
    description: str = ""
    maximum: float | None = None
    thresholds: tuple[tuple[float, str], ...] = ()
    ascending: bool = False
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
    """A dashboard; its panels are laid out from left to right, row by row.

    Its first choice is the site, ``$site``: several unless it is of ``one_site``.
    """

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    one_site: bool = False
    tags: tuple[str, ...] = field(default=("hpcobs",))
