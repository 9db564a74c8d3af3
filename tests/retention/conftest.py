"""Retention tests run on the real database."""

from tests.stores import connect, make_store, query, store, timings

__all__ = ["connect", "make_store", "query", "store", "timings"]
