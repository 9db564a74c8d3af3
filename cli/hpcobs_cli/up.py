"""``hpcobs up``: the whole service on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpcobs_cli.errors import CommandError
from hpcobs_cli.options import DATA_DIR, DataDir

HISTORY_HOURS = 3.0

Port = Annotated[
    int, typer.Option(help="Where to listen; 0 takes a free port.", envvar="PORT", min=0, max=65535)
]
Host = Annotated[str, typer.Option(help="The address to listen on.", envvar="HOST")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="A PostgreSQL to use instead of the embedded one.", envvar="DATABASE_URL"),
]
Simulate = Annotated[bool, typer.Option(help="Run a simulated cluster.")]
Nodes = Annotated[int, typer.Option(help="Nodes of the simulated cluster.", min=1, max=500)]
Jobs = Annotated[int, typer.Option(help="Jobs that run on it at a time.", min=0, max=2000)]
Seed = Annotated[int, typer.Option(help="What the simulated users do depends on this number.")]
Speed = Annotated[
    float, typer.Option(help="How much faster than real jobs simulated ones live.", min=1, max=1000)
]
SeedDemo = Annotated[
    bool,
    typer.Option(help="Begin with a few hours of simulated history.", envvar="SEED_DEMO"),
]
OtherTokenFile = Annotated[Path | None, typer.Option(help="Write the token to this file as well.")]


def up(
    *,
    port: Port = 8080,
    host: Host = "127.0.0.1",
    data_dir: DataDir = DATA_DIR,
    database_url: DatabaseUrl = None,
    simulate: Simulate = True,
    nodes: Nodes = 8,
    jobs: Jobs = 12,
    seed: Seed = 1,
    speed: Speed = 30.0,
    seed_demo: SeedDemo = False,
    token_file: OtherTokenFile = None,
) -> None:
    """Run the whole service here, with a simulated cluster, until Ctrl-C."""
    from rich.console import Console

    from hpcobs_local.options import Options
    from hpcobs_local.up import UpError
    from hpcobs_local.up import up as run

    options = Options(
        data_dir=data_dir,
        host=host,
        port=port,
        database_url=database_url,
        simulate=simulate,
        nodes=nodes,
        jobs=jobs,
        seed=seed,
        speed=speed,
        history_hours=HISTORY_HOURS if seed_demo else 0.0,
        token_file=token_file,
    )
    try:
        run(options, Console())
    except UpError as error:
        raise CommandError(str(error)) from None
