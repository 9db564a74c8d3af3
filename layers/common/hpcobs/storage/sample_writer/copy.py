"""COPY in PostgreSQL's binary format, and the types of the columns that it sends.

Binary COPY converts nothing: the server takes a value's bytes as those of the column's type. So the
types have to be set, and tests hold them equal to the tables' columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hpcobs.storage.connections import Connection

SAMPLE_TYPES = (
    *("text", "timestamptz", "float8", "int8", "float8", "int8", "int8", "float8", "float8"),
    *("int8", "int8", "text"),
)
"""The types of ``columns.samples``: the first fields of ``hpcobs.domain.samples.QueuedSample``."""

STAGED_TYPES = (*SAMPLE_TYPES, "text", "int4", "text", "text")
"""The types of ``staged_samples``: a sample, and where it comes from."""

GPU_TYPES = (
    *("text", "timestamptz", "text", "text", "text", "float8", "int8", "int8", "float8", "float8"),
    "bool",
)
"""The types of ``columns.gpu_samples``: the fields of ``hpcobs.domain.samples.GpuSample``."""

SUM_TYPES = (
    *("text", "text", "timestamptz", "timestamptz", "float8", "int8", "float8", "int8", "float8"),
    *("float8", "int8", "int8", "float8", "float8"),
)
"""The types of ``staged_sums``."""


def copy(
    connection: Connection, statement: bytes, types: Sequence[str], rows: Iterable[Sequence[Any]]
) -> None:
    """Send ``rows``, whose values are of ``types``, by a ``COPY … FROM STDIN (FORMAT binary)``."""
    with connection.cursor() as cursor, cursor.copy(statement) as copying:
        copying.set_types(types)
        for row in rows:
            copying.write_row(row)
