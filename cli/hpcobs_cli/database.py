"""The database of commands that work on one directly, without a service."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpcobs_cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator


def given_url(database_url: str | None) -> str:
    """Return the URL. Raise CommandError if there is none."""
    if not database_url:
        raise CommandError("no database is given: use --database-url or DATABASE_URL")
    return database_url


@contextmanager
def on_database(database_url: str | None) -> Iterator[None]:
    """Make ``hpcobs.bootstrap`` work on a database. Raise CommandError if that fails."""
    from hpcobs import bootstrap
    from hpcobs.domain.errors import UnavailableError
    from hpcobs.settings import SettingsError

    # One connection: a command has one thread, and a database may allow few.
    os.environ |= {
        "DATABASE_URL": given_url(database_url),
        "DB_MAX_CONNS": "1",
        "DB_MIN_CONNS": "0",
    }
    # Anything made before would still use the earlier environment.
    bootstrap.reset()
    try:
        yield
    except SettingsError as error:
        raise CommandError(str(error)) from None
    except UnavailableError as error:
        raise CommandError(error.cause or str(error)) from None
    finally:
        bootstrap.reset()
