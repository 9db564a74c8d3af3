"""The command line. Each command has a module, which imports what it needs when it runs."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from hpcobs import __version__
from hpcobs_cli import cost, job, jobs, migrate, rejected, retention, site, token, up
from hpcobs_cli.errors import CommandError
from hpcobs_cli.output import allow_any_text, discard_output

FAILED = 1


class CommandLine(typer.Typer):
    """A Typer whose commands fail with one line and exit status 1."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the command that the arguments name."""
        allow_any_text()
        try:
            return super().__call__(*args, **kwargs)
        except CommandError as error:
            sys.stderr.write(f"hpcobs: {error}\n")
        except OSError as error:
            # The output failed: its pipe was closed, or the disk is full.
            discard_output()
            sys.stderr.write(f"hpcobs: {error.filename or 'the output'}: {error.strerror}\n")
        raise SystemExit(FAILED)


app = CommandLine(
    name="hpcobs",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: brackets in its texts are no markup
)


def _version(requested: bool) -> None:
    if requested:
        typer.echo(f"hpcobs {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
]


@app.callback()
def hpcobs(*, version: Version = False) -> None:
    """Show how each HPC job used its CPUs, memory and GPUs."""


app.command("up")(up.up)
app.command("jobs")(jobs.jobs)
app.command("job")(job.job)
app.command("token")(token.token)
app.command("migrate")(migrate.migrate)
app.command("retention")(retention.retention)
app.command("cost")(cost.cost)
app.add_typer(rejected.app, name="rejected")
app.add_typer(site.app, name="site")
