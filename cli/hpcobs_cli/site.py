"""``hpcobs site``: the file that a site is deployed from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from hpcobs_cli.errors import CommandError

app = typer.Typer(help="The file that a site on AWS is deployed from.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The site's name: sites/NAME.toml.")]
Folder = Annotated[Path, typer.Option(help="Where the sites' files are.")]
FOLDER = Path("sites")


@app.command()
def init(
    name: Name,
    *,
    account: Annotated[str, typer.Option(prompt="AWS account (12 digits)", help="12 digits.")],
    region: Annotated[str, typer.Option(prompt="AWS region", help="Such as eu-central-1.")],
    cluster_name: Annotated[
        str, typer.Option(prompt="ClusterName in slurm.conf", help="ClusterName in slurm.conf.")
    ],
    email: Annotated[
        list[str] | None, typer.Option(help="Who is told of alarms; may be given several times.")
    ] = None,
    folder: Folder = FOLDER,
) -> None:
    """Write a site's file with every option in it; what is not given can be asked for."""
    from infra.paths import SITES
    from infra.site.config import SiteError, load_site

    path = folder / f"{name}.toml"
    text = (SITES / "example.toml").read_text()
    given = {"account": account, "region": region, "cluster_name": cluster_name}
    for option, value in given.items():
        text = _with(text, option, _quoted(value))
    text = _with(text, "emails", f"[{', '.join(map(_quoted, email or []))}]")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        raise CommandError(f"{path} is there already: change it, or take another name") from None
    try:
        load_site(name, folder=folder)
    except SiteError as error:
        path.unlink()
        raise CommandError(str(error)) from None
    typer.echo(f"wrote {path}: read it through, then see docs/deploy.md")


@app.command()
def check(name: Name, *, folder: Folder = FOLDER) -> None:
    """Tell whether a site's file is in order, or each thing that is wrong with it."""
    from infra.site.config import SiteError, load_site

    try:
        site = load_site(name, folder=folder)
    except SiteError as error:
        raise CommandError(str(error)) from None
    where = f"account {site.account}, {site.region}"
    typer.echo(f"in order: stack {site.stack_name} in {where}, for cluster {site.cluster_name}")


def _with(text: str, option: str, value: str) -> str:
    """The file with an option's value in place of the example's; the comment stays."""
    return re.sub(
        rf"(?m)^{option} = (\"[^\"]*\"|\[[^\]]*\])", lambda _: f"{option} = {value}", text
    )


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{"".join(character for character in escaped if character.isprintable())}"'
