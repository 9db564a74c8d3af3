"""Commands that work on a site's database by themselves."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hpcobs_cli.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def on_database(database_url: str | None) -> Iterator[None]:
    """Within it ``hpcobs.bootstrap`` works on the database; CommandError if that cannot be."""
    from hpcobs import bootstrap
    from hpcobs.domain.errors import UnavailableError
    from hpcobs.settings import SettingsError

    if not database_url:
        raise CommandError("no database is named: use --database-url or DATABASE_URL")
    os.environ |= {"DATABASE_URL": database_url, "DB_MAX_CONNS": "1", "DB_MIN_CONNS": "0"}
    bootstrap.reset()
    try:
        yield
    except (SettingsError, UnavailableError) as error:
        raise CommandError(str(error)) from None
    finally:
        bootstrap.reset()
