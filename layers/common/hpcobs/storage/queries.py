"""SQL lives in ``sql/*.sql``; this reads it.

Each query begins with a line ``-- name: what it is for``; the next such line ends it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "sql"
_HEADING = re.compile(rb"^-- (\w+): .+$", re.MULTILINE)


@cache
def load(subject: str) -> dict[str, bytes]:
    """The queries of ``sql/<subject>.sql`` by name. Values go in as parameters, never as text."""
    pieces = _HEADING.split((_FOLDER / f"{subject}.sql").read_bytes())
    names, texts = pieces[1::2], pieces[2::2]
    return {name.decode(): text.strip() for name, text in zip(names, texts, strict=True)}
