"""Measuring and printing, for all benchmarks: rounds, their median and spread, and a table."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Figure:
    """One line of a result. ``values`` has one value per round, in ``unit``."""

    name: str
    unit: str
    values: Sequence[float]

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.values)

    @property
    def spread(self) -> str:
        """The lowest and the highest round."""
        return f"{min(self.values):,.4g} … {max(self.values):,.4g}"


def timed(work: Callable[[], object]) -> float:
    """Run ``work``. Return the seconds that it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def show(title: str, floor: Figure, others: Sequence[Figure], *, target: str) -> None:
    """Print a table: each figure beside the floor, as a ratio to it."""
    table = Table(title=f"{title}\ntarget: {target}", title_justify="left")
    for heading in ("", "median", "unit", "spread", "of the floor"):
        table.add_column(heading, justify="left" if heading in ("", "unit") else "right")
    for figure in (floor, *others):
        ratio = figure.median / floor.median
        table.add_row(
            figure.name, f"{figure.median:,.4g}", figure.unit, figure.spread, f"{ratio:.2f} ×"
        )
    Console().print(table)
