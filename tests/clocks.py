"""A database's clock that a test sets.

The database finds the test's ``now()`` before its own: in every statement, and in the functions of
the schema. The product has no part in it. Defaults of columns keep the real time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg

if TYPE_CHECKING:
    from datetime import datetime

NOW = """
CREATE TABLE IF NOT EXISTS test_clock (shown timestamptz NOT NULL);
DELETE FROM test_clock;
CREATE OR REPLACE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS 'SELECT shown FROM public.test_clock'
"""
FIRST = """
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
END $$
"""
START = "UPDATE retention_clock SET believed_at = now(), ran_at = now(), steady_since = now()"


def set_database_clock(url: str, moment: datetime, *, start: bool = True) -> None:
    """Make a database show ``moment`` to connections that are opened from now on.

    With ``start`` the evidence of retention starts there too, as on a new site.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(NOW.encode())
        connection.execute(FIRST.encode())
    move_database_clock(url, moment)
    if start:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(START.encode())


def move_database_clock(url: str, moment: datetime) -> None:
    """Move a clock that was set. Open connections see it as well."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"DELETE FROM public.test_clock")
        connection.execute(b"INSERT INTO public.test_clock VALUES (%s)", [moment])
