"""``hpcobs jobs``: a page of jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpcobs.domain.states import JobState
from hpcobs_cli import texts
from hpcobs_cli.client import connect
from hpcobs_cli.options import DATA_DIR, CertFile, DataDir, Json, Token, TokenFile, Url

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text


def jobs(
    *,
    state: Annotated[JobState | None, typer.Option(help="Only jobs in this state.")] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    node: Annotated[str | None, typer.Option(help="Only those on this node.")] = None,
    partition: Annotated[str | None, typer.Option(help="Only those of this partition.")] = None,
    account: Annotated[str | None, typer.Option(help="Only those of this account.")] = None,
    cluster: Annotated[str | None, typer.Option(help="Only those of this cluster.")] = None,
    started_after: Annotated[
        str | None, typer.Option(help="Only those that started after this RFC 3339 time.")
    ] = None,
    started_before: Annotated[
        str | None, typer.Option(help="Only those that started before this RFC 3339 time.")
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", "-q", help="How the id, name or user begins.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=1000)] = 30,
    cursor: Annotated[
        str | None, typer.Option(help="Go on after a page: its next_cursor, which --json tells.")
    ] = None,
    as_json: Json = False,
    url: Url = None,
    token: Token = None,
    token_file: TokenFile = None,
    cert_file: CertFile = None,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """List jobs, newest first."""
    client = connect(
        url=url, token=token, token_file=token_file, cert_file=cert_file, data_dir=data_dir
    )
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
        out.print("no such jobs")
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
"""Columns, and whether they are worth their whole width on a narrow terminal."""

ROOMY = 100
"""From so many characters on there is room for wider gaps."""

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
        state = Text(job["state"], style=texts.STATE_STYLES.get(job["state"], ""))
        partition = job.get("scheduler", {}).get("partition")
        nodes = texts.nodes(job["nodes"], most=2)
        facts = (job.get("name"), job["user"], partition, nodes)
        name, user, *where = [_cut(texts.printable(fact)) for fact in facts]
        identity = Text(texts.printable(job["id"]))
        table.add_row(identity, name, user, state, *where, *_usage(job))
    return table


def _cut(text: str) -> Text:
    """A text that is cut where its column is too narrow, and takes no second line."""
    from rich.text import Text

    return Text(text, no_wrap=True, overflow="ellipsis")


def _usage(job: dict[str, Any]) -> list[str]:
    """What a running job uses now, and what one that has ended used on average."""
    running = job["state"] == "running"
    return [
        texts.duration(job["runtime_seconds"]),
        texts.percent(job.get("cpu_usage" if running else "avg_cpu_usage")),
        texts.memory(job.get("memory_usage_mb" if running else "max_memory_usage_mb")),
        texts.percent(job.get("gpu_usage" if running else "avg_gpu_usage")),
    ]
