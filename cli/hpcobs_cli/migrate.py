"""``hpcobs migrate``: bring a database's tables up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from hpcobs_cli.errors import CommandError

DatabaseUrl = Annotated[
    str | None, typer.Option(help="The database.", envvar="DATABASE_URL", show_envvar=True)
]


def migrate(database_url: DatabaseUrl = None) -> None:
    """Apply the migrations that a database lacks."""
    import psycopg

    from hpcobs.settings import SettingsError
    from hpcobs.storage.conninfo import parsed
    from hpcobs.storage.migrations import migrate as apply

    if not database_url:
        raise CommandError("no database is named: use --database-url or DATABASE_URL")
    try:
        parsed(database_url)
        applied = apply(database_url)
    except SettingsError as error:
        raise CommandError(str(error)) from None
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise CommandError(f"the database cannot be migrated: {reason}") from None
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("up to date")
