"""Plans of queries on a filled database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterator

Plan = dict[str, Any]


@contextmanager
def filled(url: str, statements: str) -> Iterator[psycopg.Connection]:
    """Connect to a database, and fill it by ``statements``."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements.encode())
        yield connection


def plan(connection: psycopg.Connection, query: bytes, parameters: dict[str, object]) -> Plan:
    """Return PostgreSQL's plan for a query."""
    explained = connection.execute(b"EXPLAIN (FORMAT JSON) " + query, parameters, prepare=False)
    (row,) = explained.fetchall()
    return row[0][0]["Plan"]  # type: ignore[no-any-return]


def steps(node: Plan) -> list[str]:
    """Return the steps of a plan from the top, such as ``Seq Scan jobs``."""
    this = f"{node['Node Type']} {node.get('Relation Name', '')}".strip()
    return [this, *(step for child in node.get("Plans", ()) for step in steps(child))]
