"""Migrations: numbered SQL files, each applied once, in order, under an advisory lock.

A database whose migrations are not the first ones of this version's is left as it is. It may be of
a newer version, or of another one that numbered its migrations differently.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from hpcobs.storage.connections import connect
from hpcobs.storage.conninfo import from_url
from hpcobs.storage.queries import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hpcobs.storage.connections import Connection

FOLDER = Path(__file__).parent / "migrations"
_MIGRATIONS = load("migrations")


class SchemaError(Exception):
    """The database's migrations do not fit this version. The message is one line for people."""


class NewerSchemaError(SchemaError):
    """The database has all migrations of this version, and further ones that it does not know."""


def available() -> dict[str, bytes]:
    """Return this version's migrations in order: their SQL by name."""
    return {path.stem: path.read_bytes() for path in sorted(FOLDER.glob("*.sql"))}


def migrate(conninfo: str) -> list[str]:
    """Apply the missing migrations, all or none, and return their names.

    Raise ConnectError without a connection, SchemaError if the database's migrations do not fit.
    """
    with connect(lambda: from_url(conninfo)) as connection:
        return apply_missing(connection)


def apply_missing(connection: Connection) -> list[str]:
    """Apply the missing migrations in the connection's transaction, and return their names.

    A second caller waits until the first one's transaction ends. Raise SchemaError if the
    database's migrations do not fit.
    """
    # The lock comes first: a caller that waited for it finds nothing missing any more.
    connection.execute(_MIGRATIONS["lock"])
    connection.execute(_MIGRATIONS["prepare"])
    known = available()
    applied: dict[str, str | None] = dict(connection.execute(_MIGRATIONS["applied"]).fetchall())
    missing = [name for name in known if name not in applied]
    _compare(known, applied, missing)
    for name in missing:
        connection.execute(known[name])
        connection.execute(_MIGRATIONS["note"], {"name": name, "checksum": checksum(known[name])})
    for name, noted in applied.items():
        if noted is None:
            note = {"name": name, "checksum": checksum(known[name])}
            connection.execute(_MIGRATIONS["note_checksum"], note)
    return missing


def checksum(statements: bytes) -> str:
    """Return the SHA-256 of a migration. Line ends do not count, which Git may change."""
    return hashlib.sha256(statements.replace(b"\r\n", b"\n")).hexdigest()


def _compare(
    known: Mapping[str, bytes], applied: Mapping[str, str | None], missing: Sequence[str]
) -> None:
    """Raise SchemaError unless what the database has is the beginning of what is known."""
    newest = max(applied, default="")
    unknown = sorted(name for name in applied if name not in known)
    if skipped := [name for name in missing if name < newest]:
        raise SchemaError(
            f"the database has migration {newest}, but not {skipped[0]}: it is of a version with"
            " other migrations. Use that version, or restore a backup"
        )
    for name, noted in applied.items():
        if name in known and noted is not None and noted != checksum(known[name]):
            raise SchemaError(
                f"migration {name} has changed since it was applied to the database: install the"
                " release again, or use the version that applied it"
            )
    if unknown and missing:
        raise SchemaError(
            f"the database has migration {unknown[0]}, which this version does not know, but not"
            f" {missing[0]}: it is of a version with other migrations. Use that version"
        )
    if unknown:
        raise NewerSchemaError(
            f"the database is at migration {newest}, and this version knows {max(known)} at most:"
            " use the newer version of hpcobs"
        )
