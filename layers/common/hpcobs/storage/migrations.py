"""Migrations: numbered SQL files, each applied once, in order, under an advisory lock."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from hpcobs.storage.connections import Connection

FOLDER = Path(__file__).parent / "migrations"
_MIGRATIONS = load("migrations")


def available() -> dict[str, bytes]:
    """Return this version's migrations in order: their SQL by name."""
    return {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.sql"))}


def migrate(conninfo: str) -> list[str]:
    """Apply the missing migrations, all or none, and return their names."""
    with psycopg.connect(conninfo) as connection:
        return apply_missing(connection)


def apply_missing(connection: Connection) -> list[str]:
    """Apply the missing migrations in the connection's transaction, and return their names.

    A second caller waits until the first one's transaction ends.
    """
    # The lock comes first: a caller that waited for it finds nothing missing any more.
    connection.execute(_MIGRATIONS["lock"])
    connection.execute(_MIGRATIONS["prepare"])
    missing = [name for name in available() if name not in _applied(connection)]
    for name in missing:
        connection.execute(available()[name])
        connection.execute(_MIGRATIONS["note"], {"name": name})
    return missing


def _applied(connection: Connection) -> set[str]:
    return {name for (name,) in connection.execute(_MIGRATIONS["applied"])}
