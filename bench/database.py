"""A temporary PostgreSQL for the benchmarks, with its default settings (fsync on)."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hpcobs.settings import Settings
from hpcobs.storage.connections import SingleConnection
from hpcobs.storage.conninfo import connect_arguments
from hpcobs.storage.migrations import migrate
from hpcobs_local.postgres.server import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def migrated_database() -> Iterator[str]:
    """Start a server with an empty, migrated database. Yield its URL, then delete it all."""
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        url = postgres.start()
        try:
            migrate(url)
            yield url
        finally:
            postgres.stop()


def single_connection(url: str) -> SingleConnection:
    """Return the kind of connection that a Lambda environment has."""
    settings = Settings(database_url=url)
    return SingleConnection(connect_arguments(settings), statement_timeout_seconds=120)
