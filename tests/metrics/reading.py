"""Helpers for tests of the scrape: a queue of known depth, and the series of a text."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from hpcobs.domain.errors import UnavailableError
from hpcobs.ports.queue import QueueDepth

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class KnownQueue:
    """A queue that has only a depth."""

    def __init__(self, depth: QueueDepth | None) -> None:
        self._depth = depth

    def depth(self) -> QueueDepth:
        if self._depth is None:
            raise UnavailableError("away")
        return self._depth


def series(text: str) -> Series:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def one(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))
