"""A batch of 200 samples with 4 GPUs each, parsed and checked, beside ``json.loads`` alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bench.batches import batch
from bench.measuring import Figure, show, timed
from hpcobs.wire.batches import decode_batch

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 101


def run() -> None:
    """Measure and print the results."""
    body = batch("n1", ["1", "2", "3"], samples=200, gpus=4)
    loads: list[float] = []
    decodes: list[float] = []
    for _ in range(ROUNDS):
        loads.append(_milliseconds(lambda: json.loads(body)))
        decodes.append(_milliseconds(lambda: decode_batch(body)))
    show(
        f"A batch of 200 samples with 4 GPUs each ({len(body) / 1000:.0f} kB), {ROUNDS} rounds",
        Figure("json.loads, nothing checked", "ms", loads),
        [Figure("parsed and checked", "ms", decodes)],
        target="≤ 0.7 × json.loads",
    )


def _milliseconds(work: Callable[[], object]) -> float:
    return timed(work) * 1000
