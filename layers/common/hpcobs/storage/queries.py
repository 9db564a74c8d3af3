"""The queries of ``sql/*.sql``, read by name.

Each query begins with a line ``-- name: purpose`` and ends before the next such line. A list of
columns, or a condition, that several statements share stands once, in ``columns.sql`` or
``conditions.sql``: ``{{columns.jobs}}`` stands for the query ``jobs`` of that file. Only this
loader puts text into a statement. Values are always parameters.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "sql"
_HEADING = re.compile(rb"^-- (\w+): .+$", re.MULTILINE)
_PART = re.compile(rb"\{\{(columns|conditions)\.(\w+)\}\}")


@cache
def load(subject: str) -> dict[str, bytes]:
    """Return the queries of ``sql/<subject>.sql`` by name."""
    text = (FOLDER / f"{subject}.sql").read_bytes()
    pieces = _HEADING.split(_PART.sub(_part, text))
    names, queries = pieces[1::2], pieces[2::2]
    return {name.decode(): query.strip() for name, query in zip(names, queries, strict=True)}


def _part(found: re.Match[bytes]) -> bytes:
    return load(found[1].decode())[found[2].decode()]
