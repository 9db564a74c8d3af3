"""The queries of ``sql/*.sql``, read by name.

Each query begins with a line ``-- name: purpose`` and ends before the next such line. A list of
columns that several statements share stands once, in ``columns.sql``: ``{{columns.jobs}}`` stands
for the query ``jobs`` of that file. Only this loader puts text into a statement. Values are always
parameters.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"
_HEADING = re.compile(rb"^-- (\w+): .+$", re.MULTILINE)
_COLUMNS = re.compile(rb"\{\{columns\.(\w+)\}\}")


@cache
def load(subject: str) -> dict[str, bytes]:
    """Return the queries of ``sql/<subject>.sql`` by name."""
    text = (FOLDER / f"{subject}.sql").read_bytes()
    pieces = _HEADING.split(_COLUMNS.sub(_columns, text))
    names, queries = pieces[1::2], pieces[2::2]
    return {name.decode(): query.strip() for name, query in zip(names, queries, strict=True)}


def _columns(found: re.Match[bytes]) -> bytes:
    return load("columns")[found[1].decode()]
