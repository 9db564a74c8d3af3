"""``hpcobs up``: run the whole service on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpcobs_cli.errors import CommandError
from hpcobs_cli.options import DATA_DIR, DataDir

if TYPE_CHECKING:
    from hpcobs.settings import Settings

# As long as the default time range of the Grafana dashboards.
HISTORY_HOURS = 3.0

# Typer does not read these variables: the settings do, whose errors name the variable.
Port = Annotated[
    int | None,
    typer.Option(
        help="The port to listen on; 0 chooses a free one. [env: PORT; default: 8080]",
        min=0,
        max=65535,
    ),
]
Host = Annotated[
    str | None, typer.Option(help="The address to listen on. [env: HOST; default: 127.0.0.1]")
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="Use this PostgreSQL instead of the embedded one. [env: DATABASE_URL]"),
]
Simulate = Annotated[bool, typer.Option(help="Run a simulated cluster.")]
Nodes = Annotated[int, typer.Option(help="Number of simulated nodes.", min=1, max=500)]
Jobs = Annotated[
    int, typer.Option(help="Number of simulated jobs that run at a time.", min=0, max=2000)
]
Seed = Annotated[
    int, typer.Option(help="Seed of the simulation: the same one gives the same jobs.")
]
Speed = Annotated[
    float,
    typer.Option(help="How many times faster simulated jobs run than real ones.", min=1, max=1000),
]
SeedDemo = Annotated[
    bool | None,
    typer.Option(help="Start with a few hours of simulated history. [env: SEED_DEMO]"),
]
OtherTokenFile = Annotated[Path | None, typer.Option(help="Write the token to this file too.")]


def up(
    *,
    port: Port = None,
    host: Host = None,
    data_dir: DataDir = DATA_DIR,
    database_url: DatabaseUrl = None,
    simulate: Simulate = True,
    nodes: Nodes = 8,
    jobs: Jobs = 12,
    seed: Seed = 1,
    speed: Speed = 30.0,
    seed_demo: SeedDemo = None,
    token_file: OtherTokenFile = None,
) -> None:
    """Run the whole service on this machine, until Ctrl-C.

    The command prints the URL, a token and some commands to try.
    """
    from rich.console import Console

    from hpcobs_local.options import Options
    from hpcobs_local.up import UpError
    from hpcobs_local.up import up as run

    settings = _settings()
    demo = settings.seed_demo if seed_demo is None else seed_demo
    options = Options(
        data_dir=data_dir,
        host=host or settings.host,
        port=settings.port if port is None else port,
        database_url=database_url or settings.database_url,
        simulate=simulate,
        nodes=nodes,
        jobs=jobs,
        seed=seed,
        speed=speed,
        history_hours=HISTORY_HOURS if demo else 0.0,
        token_file=token_file,
    )
    try:
        run(options, Console())
    except UpError as error:
        raise CommandError(str(error)) from None


def _settings() -> Settings:
    from hpcobs.settings import SettingsError, read_settings

    try:
        return read_settings()
    except SettingsError as error:
        raise CommandError(str(error)) from None
