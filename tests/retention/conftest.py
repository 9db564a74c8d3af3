"""Retention tests run on the real database."""

from __future__ import annotations

import pytest

from tests.builders import T0
from tests.clocks import set_database_clock
from tests.stores import connect, make_store, query, store, timings

__all__ = ["connect", "make_store", "query", "store", "timings"]


@pytest.fixture
def clock_at_t0(database_url: str) -> None:
    """Make the database show T0."""
    set_database_clock(database_url, T0)
