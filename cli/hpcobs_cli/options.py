"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[Path, typer.Option(help="The local service's folder.")]
Url = Annotated[
    str | None, typer.Option(help="Where hpcobs answers.", envvar="HPCOBS_URL", show_envvar=True)
]
Token = Annotated[
    str | None,
    typer.Option(help="A bearer token.", envvar="HPCOBS_TOKEN", show_envvar=True),
]
TokenFile = Annotated[Path | None, typer.Option(help="A file with a bearer token.")]
CertFile = Annotated[
    Path | None,
    typer.Option(
        help="A certificate and its key in one file, for sites that ask for one.",
        envvar="HPCOBS_CLIENT_CERT_FILE",
        show_envvar=True,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]

DATA_DIR = Path(".hpcobs")
