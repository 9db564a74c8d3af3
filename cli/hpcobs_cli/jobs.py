"""``hpcobs jobs``: a page of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpcobs.domain.states import JobState
from hpcobs_cli import texts
from hpcobs_cli.connection_options import ConnectionOptions, with_connection
from hpcobs_cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


@with_connection
def jobs(
    *,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    user: Annotated[str | None, typer.Option(help="Only jobs of this user.")] = None,
    node: Annotated[str | None, typer.Option(help="Only jobs on this node.")] = None,
    partition: Annotated[str | None, typer.Option(help="Only jobs in this partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Only jobs of this account.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Only jobs of this cluster.")] = None,
    started_after: Annotated[
        str | None, typer.Option(help="Only jobs that started after this RFC 3339 time.")
    ] = None,
    started_before: Annotated[
        str | None, typer.Option(help="Only jobs that started before this RFC 3339 time.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option("--search", "-q", help="Only jobs whose id, name or user starts with this."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of jobs.", min=1, max=1000)] = 30,
    cursor: Annotated[
        str | None, typer.Option(help="Continue after a page: the next_cursor of its --json.")
    ] = None,
    as_json: Json = False,
    connection: ConnectionOptions,
) -> None:
    """List jobs, newest first."""
    client = connection.client()
    page = client.get(
        "/v1/jobs",
        state=state.value if state else None,
        user=user,
        node=node,
        partition=partition,
        account=account,
        cluster=cluster,
        started_after=started_after,
        started_before=started_before,
        q=search,
        limit=limit,
        cursor=cursor,
    )
    if as_json:
        from hpcobs_cli.output import print_json

        print_json(page)
    else:
        _show(page)


def _show(page: dict[str, Any]) -> None:
    from hpcobs_cli.output import console

    shown, out = page["jobs"], console()
    if not shown:
        out.print("no matching jobs")
        return
    out.print(_table(shown, space=2 if out.width >= ROOMY else 1))
    if page["total"] > len(shown):
        out.print(f"{len(shown)} of {page['total']} jobs; --limit shows more", style="dim")


LEFT = {
    "JOB": True,
    "NAME": False,
    "USER": False,
    "STATE": True,
    "PARTITION": False,
    "NODES": False,
}
"""Columns, and whether they keep their whole width on a narrow terminal."""

ROOMY = 100
"""Terminals of this width and more get wider gaps."""

# Numbers, aligned by their last digit, and never cut.
RIGHT = ("RUNTIME", "CPU", "MEMORY", "GPU")


def _table(jobs: list[dict[str, Any]], *, space: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, space, 0, 0))
    for heading, whole in LEFT.items():
        table.add_column(_cut(heading), no_wrap=whole)
    for heading in RIGHT:
        table.add_column(heading, justify="right", no_wrap=True)
    for job in jobs:
        state = Text(texts.state(job), style=texts.state_style(job))
        partition = job.get("scheduler", {}).get("partition")
        nodes = texts.nodes(job["nodes"], most=2)
        facts = (job.get("name"), job["user"], partition, nodes)
        name, user, *where = [_cut(texts.printable(fact)) for fact in facts]
        identity = Text(texts.printable(job["id"]))
        table.add_row(identity, name, user, state, *where, *_usage(job))
    return table


def _cut(text: str) -> Text:
    """Return a text that is cut if its column is too narrow, and never wrapped."""
    from rich.text import Text

    return Text(text, no_wrap=True, overflow="ellipsis")


def _usage(job: dict[str, Any]) -> list[str]:
    """Return the usage: current for a running job, average (memory: highest) for an ended one."""
    running = job["state"] == "running"
    return [
        texts.duration(job["runtime_seconds"]),
        texts.percent(job.get("cpu_usage" if running else "avg_cpu_usage")),
        texts.memory(job.get("memory_usage_mb" if running else "max_memory_usage_mb")),
        texts.percent(job.get("gpu_usage" if running else "avg_gpu_usage")),
    ]
