"""Render a snapshot as text, in one pass over its rows.

Formats: Prometheus text 0.0.4 and OpenMetrics 1.0. All lines of a family stand together, as both
formats require. Families are in the order of their table and rows in that of their query, so that
two scrapes of the same state are equal.
"""

from __future__ import annotations

from itertools import accumulate, islice
from typing import TYPE_CHECKING

from hpcobs.domain.states import JobState
from hpcobs.exposition.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs.exposition.families import Family
    from hpcobs.ports.scrape import OperationTotals, Row, Snapshot

Pieces = dict[str, list[str]]
"""The lines of each family, by its name. One piece holds many lines."""

Columns = dict[tuple[str, ...], list[tuple[str, int]]]
"""For each set of labels, the families that have it and the column of each one's numbers."""

CHUNK_ROWS = 1000
"""Rows that are formatted in one step, which bounds its memory."""

_BY_NAME = {family.name: family for family in FAMILIES}


def write(snapshot: Snapshot, *, openmetrics: bool) -> str:
    """Return the exposition of a snapshot, as OpenMetrics or as Prometheus text."""
    pieces: Pieces = {}
    for group, add in _GROUPS.items():
        if group in snapshot.groups:
            add(pieces, snapshot)
    page: list[str] = []
    for family in FAMILIES:
        if found := pieces.get(family.name):
            page += (_heading(family, openmetrics=openmetrics), *found)
    if openmetrics:
        page.append("# EOF\n")
    return "".join(page)


def _heading(family: Family, *, openmetrics: bool) -> str:
    """Return the lines with name, help, type and, in OpenMetrics, unit."""
    name, unit = family.name, ""
    if openmetrics:
        # OpenMetrics names a counter's family without the suffix of its samples.
        if family.type == "counter":
            name = name.removesuffix("_total")
        # It also requires that a name ends with its unit.
        if family.unit and name.endswith(f"_{family.unit}"):
            unit = f"# UNIT {name} {family.unit}\n"
    return f"# HELP {name} {family.help}\n# TYPE {name} {family.type}\n{unit}"


def _columns(first: int, *names: str) -> Columns:
    """Assign families to the columns from ``first`` on, grouped by their labels."""
    columns: Columns = {}
    for index, name in enumerate(names, first):
        columns.setdefault(_BY_NAME[name].labels, []).append((name, index))
    return columns


_JOB_NODES = _columns(
    4,
    "hpc_job_runtime_seconds",
    "hpc_job_cpu_usage_percent",
    "hpc_job_memory_usage_bytes",
    "hpc_job_gpu_usage_percent",
)
_JOBS = _columns(6, "hpc_job_info", "hpc_job_memory_limit_bytes", "hpc_job_cpus")
_GPUS = _columns(
    5,
    "hpc_job_gpu_device_utilization_percent",
    "hpc_job_gpu_device_memory_used_bytes",
    "hpc_job_gpu_device_power_watts",
    "hpc_job_gpu_device_temperature_celsius",
)
_NODES = _columns(
    3,
    "hpc_node_state",
    "hpc_node_cpu_usage_percent",
    "hpc_node_memory_usage_bytes",
    "hpc_node_gpu_usage_percent",
    "hpc_node_job_count",
    "hpc_node_total_memory_bytes",
    "hpc_node_total_cpus",
    "hpc_node_cpu_load",
    "hpc_node_last_seen_timestamp_seconds",
)


def _add_rows(pieces: Pieces, rows: Iterable[Row], columns: Columns) -> None:
    """Add one line for each number of each row to its family."""
    # By columns within a chunk: the label texts, the costly part, are made once for all families
    # that share them.
    remaining = iter(rows)
    while chunk := list(islice(remaining, CHUNK_ROWS)):
        for labels, numbers in columns.items():
            texts = _label_texts(labels, chunk)
            for name, index in numbers:
                _add_lines(pieces, name, zip(texts, [row[index] for row in chunk], strict=True))


def _add_lines(pieces: Pieces, name: str, pairs: Iterable[tuple[str, str | None]]) -> None:
    lines = [f"{name}{labels} {value}\n" for labels, value in pairs if value is not None]
    if lines:
        pieces.setdefault(name, []).append("".join(lines))


def _label_texts(names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return ``{name="value",…}`` for each row, whose first values are those of the labels.

    An empty cluster is left out.
    """
    count = len(names)
    template = "{" + ",".join([f'{name}="%s"' for name in names]) + "}"
    # %.0s takes a value and writes nothing. The cluster is never the first label.
    shorter = template.replace(',cluster="%s"', "%.0s")
    place = names.index("cluster") if "cluster" in names else 0
    templates = [template if row[place] else shorter for row in rows]
    texts = [its % row[:count] for its, row in zip(templates, rows, strict=True)]
    # Hardly any value needs escaping: one search in all texts is faster than one in each value.
    joined = "".join(texts)
    quotes = "".join(templates).count('"')
    if joined.count('"') == quotes and "\\" not in joined and "\n" not in joined:
        return texts
    return [
        its % tuple([_escaped(value or "") for value in row[:count]])
        for its, row in zip(templates, rows, strict=True)
    ]


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _add(pieces: Pieces, name: str, value: float | None, *labels: str) -> None:
    if value is not None:
        text = _label_texts(_BY_NAME[name].labels, [labels])[0] if labels else ""
        _add_lines(pieces, name, [(text, _number(value))])


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def _add_jobs(pieces: Pieces, snapshot: Snapshot) -> None:
    _add_rows(pieces, snapshot.job_nodes, _JOB_NODES)
    _add_rows(pieces, snapshot.jobs, _JOBS)
    # Totals of the whole site belong to the first shard only.
    if snapshot.shard.index:
        return
    for state in JobState:
        # Sums of differences (docs/adr/0002): an error in them must not show as a negative number.
        count = max(0, snapshot.counters.get(f"jobs_in_state:{state}", 0))
        _add(pieces, "hpc_job_state_total", count, state)
    _add(pieces, "hpc_jobs_stale", snapshot.stale_jobs)
    _add(pieces, "hpc_job_total", snapshot.counters.get("jobs_created", 0))


def _add_gpus(pieces: Pieces, snapshot: Snapshot) -> None:
    _add_rows(pieces, snapshot.gpus, _GPUS)


def _add_nodes(pieces: Pieces, snapshot: Snapshot) -> None:
    _add_rows(pieces, snapshot.nodes, _NODES)


def _add_service(pieces: Pieces, snapshot: Snapshot) -> None:
    for totals in snapshot.operations:
        _add_histogram(pieces, totals, snapshot.bucket_bounds)
    _add_errors(pieces, snapshot)
    _add(
        pieces,
        "hpc_exporter_last_collect_timestamp_seconds",
        snapshot.gauges.get("last_collect_timestamp_seconds"),
    )
    _add(pieces, "hpc_collector_lag_seconds", snapshot.gauges.get("collector_lag_seconds"))
    if snapshot.queue is not None:
        depth = snapshot.queue.visible + snapshot.queue.in_flight
        _add(pieces, "hpc_collector_queue_depth", depth)
        _add(pieces, "hpc_collector_dead_letters", snapshot.queue.dead)
    for what in ("samples", "duplicates", "rejected"):
        value = snapshot.counters.get(f"collector_{what}", 0)
        _add(pieces, f"hpc_collector_{what}_total", value)
    for table, reason, seconds in snapshot.held:
        _add(pieces, "hpc_retention_held_seconds", seconds, table, reason)


def _add_errors(pieces: Pieces, snapshot: Snapshot) -> None:
    # Every pair begins at zero: `rate` does not count the first error of a series that starts at 1.
    counts = {
        (totals.operation, kind): 0.0
        for totals in snapshot.operations
        for kind in snapshot.error_types
    }
    for name, count in snapshot.counters.items():
        if name.startswith("storage_errors:"):
            _, operation, kind = name.split(":", 2)
            counts[operation, kind] = count
    for labels, count in sorted(counts.items()):
        _add(pieces, "storage_operation_errors_total", count, *labels)


def _add_histogram(pieces: Pieces, totals: OperationTotals, bounds: Sequence[float]) -> None:
    # The table counts each bucket alone. In the text, a bucket includes all smaller ones.
    name = "storage_operation_duration_seconds"
    label = _label_texts(("operation",), [(totals.operation,)])[0][1:-1]
    counts = list(accumulate(totals.observations))
    limits = [*map(str, bounds), "+Inf"]
    lines = [
        f'{name}_bucket{{{label},le="{limit}"}} {count}\n'
        for limit, count in zip(limits, counts, strict=True)
    ]
    lines.append(f"{name}_sum{{{label}}} {totals.seconds!r}\n")
    lines.append(f"{name}_count{{{label}}} {counts[-1]}\n")
    pieces.setdefault(name, []).append("".join(lines))


_GROUPS = {
    "jobs": _add_jobs,
    "gpus": _add_gpus,
    "nodes": _add_nodes,
    "service": _add_service,
}
