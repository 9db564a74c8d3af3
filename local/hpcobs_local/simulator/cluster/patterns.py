"""How simulated jobs use their allocation: curves that are easy to recognise in a chart.

Each pattern is a pure function of the moment, so that a job looks the same however often it is
sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


class Moment(NamedTuple):
    """A point in a run: ``progress`` from 0 to 1, and a ``phase`` that differs between nodes."""

    progress: float
    seconds: float
    phase: float


class Load(NamedTuple):
    """Usage as a share of the allocation, each value from 0 to 1."""

    cpu: float
    memory: float
    gpu: float = 0.0


Pattern = Callable[[Moment], Load]


def _wave(moment: Moment, period_seconds: float) -> float:
    """Return a slow irregular wave between -1 and 1."""
    # Two sines whose periods have no small common multiple: the sum does not look periodic.
    turn = 2 * math.pi * (moment.seconds / period_seconds + moment.phase)
    return 0.7 * math.sin(turn) + 0.3 * math.sin(2.7 * turn + 1)


def _pausing(turns: float, *, part: float) -> bool:
    """Return whether this is the last ``part`` of a turn."""
    return turns % 1 >= 1 - part


def steady(moment: Moment) -> Load:
    """Return a high constant load from start to end."""
    return Load(cpu=0.93 + 0.03 * _wave(moment, 70), memory=0.55 + 0.02 * _wave(moment, 110))


def ramping(moment: Moment) -> Load:
    """Return CPU and memory usage that both grow steadily."""
    return Load(
        cpu=0.15 + 0.8 * moment.progress + 0.03 * _wave(moment, 45),
        memory=0.1 + 0.6 * moment.progress,
    )


def leaking(moment: Moment) -> Load:
    """Return memory usage that grows until the allocation is full."""
    return Load(cpu=0.5 + 0.08 * _wave(moment, 30), memory=0.08 + 0.92 * moment.progress)


def bursting(moment: Moment) -> Load:
    """Return alternating phases of work and waiting."""
    busy = not _pausing(moment.seconds / 40 + moment.phase, part=0.55)
    return Load(cpu=0.96 if busy else 0.04, memory=0.35 + (0.2 if busy else 0.0))


def wasting(moment: Moment) -> Load:
    """Return the load of a few busy CPUs out of many, with little memory."""
    return Load(cpu=0.06 + 0.01 * _wave(moment, 90), memory=0.05)


def exchanging(moment: Moment) -> Load:
    """Return the load of MPI ranks with pauses for the exchange. Nodes differ a little."""
    pause = _pausing(moment.seconds / 55, part=0.07)
    return Load(
        cpu=(0.55 if pause else 0.97) - 0.1 * moment.phase, memory=0.62 + 0.08 * moment.phase
    )


def training(moment: Moment) -> Load:
    """Return busy GPUs, with a short pause after each epoch."""
    pause = _pausing(moment.seconds / 90 + moment.phase, part=0.08)
    return Load(
        cpu=0.38 + 0.05 * _wave(moment, 35),
        memory=0.45,
        gpu=0.08 if pause else 0.95 + 0.03 * _wave(moment, 50),
    )


def idling_gpu(moment: Moment) -> Load:
    """Return the load of a job that requested GPUs and does not use them."""
    return Load(cpu=0.2 + 0.1 * _wave(moment, 60), memory=0.15, gpu=0.0)
