"""``hpcobs site``: write and check the file from which a site is deployed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from hpcobs_cli.errors import CommandError

app = typer.Typer(help="The configuration file of a site on AWS.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The site's name, for sites/NAME.toml.")]
Folder = Annotated[Path, typer.Option(help="The folder of the sites' files.")]
FOLDER = Path("sites")


@app.command()
def init(
    name: Name,
    *,
    account: Annotated[
        str, typer.Option(prompt="AWS account (12 digits)", help="The AWS account, 12 digits.")
    ],
    region: Annotated[
        str, typer.Option(prompt="AWS region", help="The AWS region, such as eu-central-1.")
    ],
    cluster_name: Annotated[
        str, typer.Option(prompt="ClusterName in slurm.conf", help="The ClusterName in slurm.conf.")
    ],
    email: Annotated[
        list[str] | None, typer.Option(help="Address for alarms; may be given several times.")
    ] = None,
    folder: Folder = FOLDER,
) -> None:
    """Write a site's file with all options. Missing ones are prompted for."""
    from infra.paths import SITES
    from infra.site.config import SiteError, load_site

    path = folder / f"{name}.toml"
    text = (SITES / "example.toml").read_text()
    given = {"account": account, "region": region, "cluster_name": cluster_name}
    for option, value in given.items():
        text = _replaced(text, option, _quoted(value))
    text = _replaced(text, "emails", f"[{', '.join(map(_quoted, email or []))}]")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # "x": a file that exists is never overwritten, also not by two commands at once.
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        raise CommandError(f"{path} exists already: edit it, or choose another name") from None
    try:
        load_site(name, folder=folder)
    except SiteError as error:
        # The options are validated as part of the file, so an invalid file is removed again.
        path.unlink()
        raise CommandError(str(error)) from None
    typer.echo(f"wrote {path}: check it, then follow docs/deploy.md")


@app.command()
def check(name: Name, *, folder: Folder = FOLDER) -> None:
    """Check a site's file, and print each error in it."""
    from infra.site.config import SiteError, load_site

    try:
        site = load_site(name, folder=folder)
    except SiteError as error:
        raise CommandError(str(error)) from None
    where = f"account {site.account}, {site.region}"
    typer.echo(f"valid: stack {site.stack_name} in {where}, for cluster {site.cluster_name}")


def _replaced(text: str, option: str, value: str) -> str:
    """Replace an option's value in the example. Its comment stays."""
    return re.sub(
        rf"(?m)^{option} = (\"[^\"]*\"|\[[^\]]*\])", lambda _: f"{option} = {value}", text
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(character for character in escaped if character.isprintable())}"'
