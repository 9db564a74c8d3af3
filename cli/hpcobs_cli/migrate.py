"""``hpcobs migrate``: bring a database's tables up to date."""

from __future__ import annotations

import typer

from hpcobs_cli.database import given_url
from hpcobs_cli.errors import CommandError
from hpcobs_cli.options import DatabaseUrl


def migrate(database_url: DatabaseUrl = None) -> None:
    """Apply the migrations that a database does not have yet.

    The command fails, and changes nothing, if the database is of a newer version.
    """
    import psycopg

    from hpcobs.settings import SettingsError
    from hpcobs.storage.conninfo import parsed
    from hpcobs.storage.failures import ConnectError
    from hpcobs.storage.migrations import SchemaError
    from hpcobs.storage.migrations import migrate as apply

    url = given_url(database_url)
    try:
        parsed(url)
        applied = apply(url)
    except SettingsError as error:
        raise CommandError(str(error)) from None
    except SchemaError as error:
        raise CommandError(f"nothing was migrated: {error}") from None
    except ConnectError as error:
        raise CommandError(str(error)) from None
    except psycopg.Error as error:
        # psycopg's message has several lines: the reason, then details.
        reason = str(error).strip().splitlines()[0]
        raise CommandError(f"the database cannot be migrated: {reason}") from None
    for name in applied:
        typer.echo(f"applied {name}")
    if not applied:
        typer.echo("up to date")
