"""The parts of a dashboard: variables, panels, queries."""

from __future__ import annotations

from dataclasses import dataclass, field

SITE = 'instance=~"$site"'
"""A part of every selector, since job ids and node names are unique within a site only, and one
Prometheus may scrape several sites."""

NODE_NAME = "{{node}} {{cluster}}"
"""The legend of a node. A node of the site's own cluster has no label ``cluster``."""

JOB_LINK = (
    "/d/hpcobs-job?var-site=${__data.fields.site}&var-job_id=${__data.fields.job_id}"
    "&${datasource:queryparam}&${__url_time_range}"
)
"""A link from a row of a table with columns "site" and "job_id" to that job's dashboard."""


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression. ``legend`` names its series by their labels, such as ``{{user}}``.

    In a table, ``legend`` is the heading of its column, and ``unit`` can differ from the panel's.
    """

    expression: str
    legend: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    ``unit`` is Grafana's id of a unit. ``thresholds`` are values and the colour from each value on.
    A table is sorted by its first query, in descending order unless ``ascending``. ``links`` are
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
    """A choice at the top of a dashboard among the values of ``label`` in ``metric``."""

    name: str
    metric: str
    label: str
    many: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A dashboard. Its panels are placed from left to right, row by row.

    Its first variable is the site, ``$site``, with several values unless ``one_site``.
    """

    uid: str
    title: str
    description: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    one_site: bool = False
    tags: tuple[str, ...] = field(default=("hpcobs",))
