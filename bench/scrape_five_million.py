"""The scrape of a site at which five million jobs have finished."""

from __future__ import annotations

from bench import scrape

FINISHED = (1, 5_000_000)


def run() -> None:
    """Measure and print the results. This takes minutes and some gigabytes of disk."""
    scrape.run(FINISHED)
