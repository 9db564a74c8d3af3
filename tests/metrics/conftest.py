"""Metrics tests run on the real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hpcobs.exposition.text import write
from hpcobs.ports.queue import QueueDepth
from hpcobs.service.scrape import Scrape
from hpcobs.storage.scrape import PostgresScrape
from hpcobs.storage.timings import OperationTimings
from tests.metrics.reading import KnownQueue
from tests.stores import connect, make_store, query, store, timings

if TYPE_CHECKING:
    from collections.abc import Callable

    from hpcobs.storage.connections import SingleConnection

__all__ = ["connect", "make_store", "query", "store", "timings"]


@pytest.fixture
def scrape(connect: Callable[[], SingleConnection]) -> Scrape:
    """Return the use case, with a fresh database and a queue of five batches."""
    source = PostgresScrape(connect(), OperationTimings(), home_cluster="lab")
    queue = KnownQueue(QueueDepth(visible=4, in_flight=1, dead=0))
    return Scrape(source, queue, write)  # type: ignore[arg-type]
