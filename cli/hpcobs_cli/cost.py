"""``hpcobs cost``: an estimate of a site's monthly cost on AWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from hpcobs_cli.errors import CommandError
from hpcobs_cli.options import Json

if TYPE_CHECKING:
    from rich.table import Table

SamplesDays = Annotated[int, typer.Option(help="Days to keep samples.", min=1, max=3650)]
RollupDays = Annotated[int, typer.Option(help="Days to keep roll-ups.", min=1, max=3650)]


def cost(
    *,
    nodes: Annotated[int, typer.Option(help="Number of nodes.", min=1, max=100_000)],
    jobs: Annotated[int, typer.Option(help="Number of jobs that run at a time.", min=0)],
    sample_interval: Annotated[
        float, typer.Option(help="Seconds between two samples of a job.", min=1, max=3600)
    ] = 10,
    push_interval: Annotated[
        float, typer.Option(help="Seconds between two pushes of a node.", min=5, max=3600)
    ] = 30,
    collect_interval: Annotated[
        float, typer.Option(help="Seconds between two passes of the collector.", min=10, max=60)
    ] = 30,
    scrape_interval: Annotated[
        float, typer.Option(help="Seconds between two scrapes.", min=1, max=3600)
    ] = 30,
    job_hours: Annotated[float, typer.Option(help="Runtime of a job in hours.", min=0.01)] = 4,
    gpu_nodes: Annotated[float, typer.Option(help="Share of nodes with GPUs.", min=0, max=1)] = 0.2,
    samples_days: SamplesDays = 7,
    rollup_days: RollupDays = 400,
    multi_az: Annotated[
        bool, typer.Option("--multi-az", help="Run the database in two zones.")
    ] = False,
    proxy: Annotated[bool, typer.Option("--proxy", help="Use RDS Proxy.")] = False,
    snap_start: Annotated[
        bool, typer.Option("--snap-start", help="Start functions from snapshots (SnapStart).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Estimate the monthly cost of a site on AWS, at list prices."""
    # Imported here: other commands do not need the prices.
    from infra.site.cost import Usage, monthly, prices
    from infra.site.sizing import Load

    load = Load(
        nodes=nodes,
        jobs_a_node=jobs / nodes,
        gpu_node_share=gpu_nodes,
        interval_seconds=sample_interval,
        job_hours=job_hours,
        samples_days=samples_days,
        rollup_days=rollup_days,
    )
    usage = Usage(
        load=load,
        push_seconds=push_interval,
        collect_seconds=collect_interval,
        scrape_seconds=scrape_interval,
        multi_az=multi_az,
        proxy=proxy,
        snap_start=snap_start,
    )
    try:
        bill = monthly(usage)
    except ValueError as error:
        raise CommandError(str(error)) from None
    if as_json:
        from hpcobs_cli.output import print_json

        print_json({"usd_a_month": bill, "total": sum(bill.values()), "instance": load.instance()})
        return
    from hpcobs_cli.output import console

    console().print(_table(bill))
    listed = f"List prices of {prices()['region']}, {prices()['as_of']}; {load.instance()}."
    console().print(f"{listed} docs/cost.md explains the estimate.", style="dim", highlight=False)


def _table(bill: dict[str, float]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False, show_footer=True)
    table.add_column("SERVICE", footer="total")
    table.add_column("USD A MONTH", justify="right", footer=f"{sum(bill.values()):,.2f}")
    for name, dollars in bill.items():
        table.add_row(name, f"{dollars:,.2f}")
    return table
