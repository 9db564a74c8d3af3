"""COPY in PostgreSQL's binary format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs.storage.connections import Connection

SAMPLE_TYPES = (
    *("text", "timestamptz", "float8", "int8", "float8", "int8", "int8", "float8", "float8"),
    *("int8", "int8", "text"),
)
"""Of ``hpcobs.domain.samples.QueuedSample``, as far as it is stored."""

STAGED_TYPES = (*SAMPLE_TYPES, "text", "int4")
"""Of the same, with its place in its batch."""

GPU_TYPES = (
    *("text", "timestamptz", "text", "text", "text", "float8", "int8", "int8", "float8", "float8"),
)
"""Of ``hpcobs.domain.samples.GpuSample``."""


def copy(
    connection: Connection, statement: bytes, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Send ``rows``, whose values are of ``types``, by a ``COPY … FROM STDIN (FORMAT binary)``."""
    with connection.cursor() as cursor, cursor.copy(statement) as copying:
        copying.set_types(types)
        for row in rows:
            copying.write_row(row)
