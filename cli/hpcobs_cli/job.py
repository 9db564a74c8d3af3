"""``hpcobs job``: one job with charts of its usage."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from hpcobs_cli import texts
from hpcobs_cli.connection_options import ConnectionOptions, with_connection
from hpcobs_cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from hpcobs_cli.client import Client

FIVE_MINUTES = 300
POINTS = 60
FEWEST_POINTS = 10
# Each node costs a request, and three lines of the chart.
MAX_NODES = 4
MAX_NAME = 20
BESIDE_POINTS = len("memory") + 6
"""Width of a chart's line without node name and points: 'memory', gaps, and one more bucket."""

Points = list[dict[str, Any]]


@with_connection
def job(
    *,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="The job's id.")],
    as_json: Json = False,
    connection: ConnectionOptions,
) -> None:
    """Show a job with its allocation and its usage.

    Charts show the usage over the whole run, for the first nodes.
    """
    client = connection.client()
    path = f"/v1/jobs/{quote(job_id, safe='')}"
    found = client.get(path)
    if as_json:
        from hpcobs_cli.output import print_json

        print_json(found)
        return
    nodes = found["nodes"][:MAX_NODES]
    width = _chart_width(nodes)
    series = {node: _points(client, path, found, node, width) for node in nodes}
    _show(found, {node: points for node, points in series.items() if points})


def _chart_width(nodes: list[str]) -> int:
    """Return how many points fit on a line of a chart."""
    from hpcobs_cli.output import console

    name = min(MAX_NAME, max(map(len, nodes), default=0))
    return max(FEWEST_POINTS, min(POINTS, console().width - name - BESIDE_POINTS))


def _points(client: Client, path: str, job: dict[str, Any], node: str, width: int) -> Points:
    """Return the whole run on one node in as many buckets as fit, or a few fewer."""
    series = client.get(
        f"{path}/metrics",
        node=node,
        start_time=job["start_time"],
        resolution=_resolution(job["runtime_seconds"], width),
        limit=2 * POINTS,  # more than there are buckets: one page has them all
    )
    return list(series["samples"])


def _resolution(runtime_seconds: float, points: int) -> int:
    """Return the length of a bucket in seconds."""
    # Long buckets are multiples of five minutes, for which the service reads roll-ups.
    wanted = max(1, ceil(runtime_seconds / points))
    return wanted if wanted < FIVE_MINUTES else -(-wanted // FIVE_MINUTES) * FIVE_MINUTES


def _show(job: dict[str, Any], series: dict[str, Points]) -> None:
    from rich.text import Text

    from hpcobs_cli.output import console

    out = console()
    title = Text(f"Job {texts.printable(job['id'])}  ", style="bold")
    title.append(texts.state(job), style=texts.state_style(job))
    out.print(title)
    out.print(_details(job))
    if not series:
        out.print("no samples yet", style="dim")
        return
    out.print(_charts(job, series))
    # The charts have the first nodes only.
    if job["node_count"] > len(series):
        out.print(f"{len(series)} of {job['node_count']} nodes", style="dim")


def _details(job: dict[str, Any]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(job):
        table.add_row(name, Text(texts.printable(value)))
    return table


def _facts(job: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the job's known facts, a name and a value for each line."""
    scheduler = job.get("scheduler", {})
    lines = {
        "name": job.get("name"),
        "user": _joined(job["user"], scheduler.get("account")),
        "cluster": _joined(job.get("cluster_name"), scheduler.get("partition")),
        "nodes": _joined(str(job["node_count"]), ", ".join(job["nodes"])),
        "array": _array(job),
        "started": texts.time(job["start_time"]),
        "ended": _ended(job),
        "runtime": texts.duration(job["runtime_seconds"]),
        "restarts": job["restart_count"] or None,
        "Slurm": _slurm_result(scheduler),
        "allocation": _allocation(job),
        "CPU": _used(texts.percent, job, "cpu_usage"),
        "memory": _used(texts.memory, job, "memory_usage_mb"),
        "GPU": _used(texts.percent, job, "gpu_usage"),
        "samples": job["sample_count"],
    }
    for name, value in lines.items():
        if value not in (None, texts.NOTHING):
            yield name, str(value)


def _ended(job: dict[str, Any]) -> str:
    ended = texts.time(job.get("end_time"))
    if job.get("end_confirmed") is not False:
        return ended
    return f"{ended} (reported by the nodes, not confirmed by the controller yet)"


def _joined(*parts: str | None) -> str | None:
    return " · ".join(part for part in parts if part) or None


def _array(job: dict[str, Any]) -> str | None:
    if job.get("array_job_id") is None:
        return None
    return f"{job['array_job_id']}_{job.get('array_task_id', '?')}"


def _slurm_result(scheduler: dict[str, Any]) -> str | None:
    exit_code, signal = scheduler.get("exit_code"), scheduler.get("signal")
    ended = None if exit_code is None else f"exit {exit_code}, signal {signal or 0}"
    return _joined(scheduler.get("raw_state"), scheduler.get("state_reason"), ended)


def _allocation(job: dict[str, Any]) -> str | None:
    cpus, memory_mb = job.get("allocated_cpus"), job.get("allocated_memory_mb")
    gpus = job.get("allocated_gpus")
    return _joined(
        None if cpus is None else _counted(cpus, "CPU"),
        None if memory_mb is None else texts.memory(memory_mb),
        _counted(gpus, "GPU", job.get("gpu_vendor")) if gpus else None,
    )


def _counted(number: int, what: str, kind: str | None = None) -> str:
    counted = f"{number} {what}" if number == 1 else f"{number} {what}s"
    return f"{counted} ({kind})" if kind else counted


def _used(text: Any, job: dict[str, Any], name: str) -> str | None:
    """Return the current value of a running job, the average and the highest value."""
    now = job.get(name) if job["state"] == "running" else None
    values = {"now": now, "average": job.get(f"avg_{name}"), "highest": job.get(f"max_{name}")}
    return _joined(
        *(f"{what} {text(value)}" for what, value in values.items() if value is not None)
    )


def _charts(job: dict[str, Any], series: dict[str, Points]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("NODE", no_wrap=True, max_width=MAX_NAME)
    for name in ("", "OVER TIME"):
        table.add_column(name, no_wrap=True)
    # The charts of memory share one scale: the allocation per node, or more if more was used.
    memory_top = max(
        (job.get("allocated_memory_mb") or 0) / max(1, job["node_count"]),
        *(point["memory_usage_mb"] for points in series.values() for point in points),
    )
    for node, points in series.items():
        table.add_row(texts.printable(node), "CPU", _line(points, "cpu_usage", 100))
        table.add_row("", "memory", _line(points, "memory_usage_mb", memory_top))
        if any(point.get("gpu_usage") is not None for point in points):
            table.add_row("", "GPU", _line(points, "gpu_usage", 100))
    return table


def _line(points: Points, name: str, top: float) -> str:
    return texts.sparkline([point.get(name) or 0.0 for point in points], top=top)
