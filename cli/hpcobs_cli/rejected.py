"""``hpcobs rejected``: list rejected samples, and replay them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hpcobs_cli import texts
from hpcobs_cli.database import on_database
from hpcobs_cli.options import DatabaseUrl, Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from hpcobs.ports.rejected import Listed

app = typer.Typer(help="Rejected samples: list or replay them.", no_args_is_help=True)

Job = Annotated[str | None, typer.Option(help="Only samples of this job.")]
Node = Annotated[str | None, typer.Option(help="Only samples of this node.")]
Reason = Annotated[str | None, typer.Option(help="Only samples whose reason contains this.")]


@app.command("list")
def list_(
    *,
    job: Job = None,
    node: Node = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="Maximum number of samples.", min=1, max=5000)] = 30,
    as_json: Json = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List rejected samples with their reasons, oldest first."""
    from hpcobs import bootstrap
    from hpcobs.ports.rejected import RejectedFilter

    wanted = RejectedFilter(job_id=job, node=node, reason=reason)
    with on_database(database_url):
        listed, total = bootstrap.rejected().page(wanted, limit=limit)
    if as_json:
        from hpcobs_cli.output import print_json

        print_json({"rejected": [item.as_json() for item in listed], "total": total})
    else:
        _show(listed, total)


@app.command()
def replay(
    *,
    job: Job = None,
    node: Node = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(help="Maximum number of samples to store.", min=1)] = 5000,
    database_url: DatabaseUrl = None,
) -> None:
    """Validate rejected samples again, oldest first, and store those that are valid now.

    CLUSTER_NAME and METRICS_RETENTION_DAYS of the environment apply.
    """
    from hpcobs import bootstrap
    from hpcobs.ports.rejected import RejectedFilter

    wanted = RejectedFilter(job_id=job, node=node, reason=reason)
    with on_database(database_url):
        done = bootstrap.rejected().replay(wanted, limit=limit)
    typer.echo(f"stored: {done.taken.stored}")
    typer.echo(f"duplicates: {done.taken.duplicates}")
    typer.echo(f"waiting for their job: {done.taken.waiting}")
    typer.echo(f"still rejected: {done.kept}")


@app.command()
def redrive(*, database_url: DatabaseUrl = None) -> None:
    """Put dead letters (batches that could not be stored) back on the queue in PostgreSQL."""
    from hpcobs import bootstrap

    with on_database(database_url):
        typer.echo(f"back on the queue: {bootstrap.postgres_queue().redrive()}")


def _show(listed: Sequence[Listed], total: int) -> None:
    from hpcobs_cli.output import console

    if not listed:
        console().print("no matching samples")
        return
    console().print(_table(listed))
    if total > len(listed):
        console().print(f"{len(listed)} of {total} samples; --limit shows more", style="dim")


def _table(listed: Sequence[Listed]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("REJECTED", "CLUSTER", "NODE", "JOB", "BATCH", "PLACE"):
        table.add_column(name, no_wrap=name != "BATCH")
    table.add_column("REASON", overflow="fold")
    for item in listed:
        sample = item.sample
        # Text and not str: a name with brackets is no markup.
        batch = Text(sample.batch_id, no_wrap=True, overflow="ellipsis")
        cells = (sample.cluster_name, sample.node, sample.job_id, sample.reason)
        cluster, node, job_id, reason = (Text(texts.printable(cell)) for cell in cells)
        when = f"{item.rejected_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(when, cluster, node, job_id, batch, str(sample.position), reason)
    return table
