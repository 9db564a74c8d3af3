"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hpcobs_local.folder import DEFAULT_PATH

DataDir = Annotated[Path, typer.Option(help="The folder of the local service.")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(help="The URL of the database.", envvar="DATABASE_URL", show_envvar=True),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]

DATA_DIR = DEFAULT_PATH
