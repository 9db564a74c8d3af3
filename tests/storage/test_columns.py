"""Lists of columns, of fields and of types that belong together are equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from hpcobs.domain.samples import GpuSample, QueuedSample
from hpcobs.storage.queries import FOLDER, load
from hpcobs.storage.rows import to_row
from hpcobs.storage.sample_writer import copy
from hpcobs.wire.samples import GpuEntry, SampleEntry
from tests.builders import running_job

if TYPE_CHECKING:
    from collections.abc import Iterator

Column = tuple[str, str]
"""A column's name and its type."""

# What COPY calls a type, and what information_schema calls it.
TYPES = {
    "text": "text",
    "timestamp with time zone": "timestamptz",
    "double precision": "float8",
    "bigint": "int8",
    "integer": "int4",
    "boolean": "bool",
}


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as connection:
        connection.execute(load("sample_writer")["create_staging"])
        yield connection


def columns(connection: psycopg.Connection, table: str) -> list[Column]:
    rows = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = %s ORDER BY ordinal_position",
        [table],
    )
    return [(str(name), TYPES.get(kind, str(kind))) for name, kind in rows]


def listed(name: str) -> list[str]:
    """Return the names in a list of ``columns.sql``."""
    return [column.strip(' \n"') for column in load("columns")[name].decode().split(",")]


def test_job_columns_are_those_of_table(connection: psycopg.Connection) -> None:
    of_table = {name for name, _ in columns(connection, "jobs")}
    # The database itself writes the others.
    assert {"id", *listed("jobs")} == of_table - {"created_at", "updated_at", "start_moved_xid"}
    assert len(listed("jobs")) == len(set(listed("jobs")))


def test_job_columns_are_those_of_row() -> None:
    assert {"id", *listed("jobs")} == set(to_row(running_job()))


def test_sample_columns_are_fields_of_samples() -> None:
    assert listed("samples") == list(QueuedSample._fields[:12])
    assert listed("samples") == [*SampleEntry.__struct_fields__[:-1], "node"]
    assert listed("gpu_samples") == list(GpuSample._fields)
    assert listed("gpu_samples")[3:] == list(GpuEntry.__struct_fields__)


@pytest.mark.parametrize(
    ("table", "names", "types"),
    [
        ("metric_samples", listed("samples"), copy.SAMPLE_TYPES),
        ("gpu_samples", listed("gpu_samples"), copy.GPU_TYPES),
    ],
)
def test_copied_types_are_those_of_table(
    connection: psycopg.Connection, table: str, names: list[str], types: tuple[str, ...]
) -> None:
    of_table = dict(columns(connection, table))
    assert set(names) == set(of_table) - {"id"}  # the database numbers samples
    assert [of_table[name] for name in names] == list(types)


@pytest.mark.parametrize(
    ("table", "names", "types"),
    [
        ("staged_samples", list(QueuedSample._fields[:-1]), copy.STAGED_TYPES),
        ("staged_gpus", listed("gpu_samples"), copy.GPU_TYPES),
        ("staged_sums", None, copy.SUM_TYPES),
    ],
)
def test_staging_tables_have_copied_columns_in_order(
    connection: psycopg.Connection, table: str, names: list[str] | None, types: tuple[str, ...]
) -> None:
    of_table = columns(connection, table)
    assert [kind for _, kind in of_table] == list(types)
    if names is not None:
        assert [name for name, _ in of_table] == names


def test_loader_replaces_all_column_lists() -> None:
    for file in FOLDER.glob("*.sql"):
        for query in load(file.stem).values():
            assert b"{{" not in query
