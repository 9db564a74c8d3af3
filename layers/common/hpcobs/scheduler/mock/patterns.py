"""How simulated jobs use what they were given: curves that one recognises in a chart.

Each is a pure function of the moment, so that a job looks the same however often it is sampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


class Moment(NamedTuple):
    """A point in a job's life: ``progress`` from 0 to 1, and a ``phase`` of its own per node."""

    progress: float
    seconds: float
    phase: float


class Load(NamedTuple):
    """What is used, each as a part (0 to 1) of the allocation."""

    cpu: float
    memory: float
    gpu: float = 0.0


Pattern = Callable[[Moment], Load]


def _wave(moment: Moment, period_seconds: float) -> float:
    """A calm irregular wave between -1 and 1."""
    turn = 2 * math.pi * (moment.seconds / period_seconds + moment.phase)
    return 0.7 * math.sin(turn) + 0.3 * math.sin(2.7 * turn + 1)


def _pausing(turns: float, *, part: float) -> bool:
    """Whether it is the last ``part`` of a turn."""
    return turns % 1 >= 1 - part


def steady(moment: Moment) -> Load:
    """Busy from start to end."""
    return Load(cpu=0.93 + 0.03 * _wave(moment, 70), memory=0.55 + 0.02 * _wave(moment, 110))


def ramping(moment: Moment) -> Load:
    """More and more work, and memory with it."""
    return Load(
        cpu=0.15 + 0.8 * moment.progress + 0.03 * _wave(moment, 45),
        memory=0.1 + 0.6 * moment.progress,
    )


def leaking(moment: Moment) -> Load:
    """Memory that only grows, until there is no more."""
    return Load(cpu=0.5 + 0.08 * _wave(moment, 30), memory=0.08 + 0.92 * moment.progress)


def bursting(moment: Moment) -> Load:
    """Work and waiting in turn."""
    busy = not _pausing(moment.seconds / 40 + moment.phase, part=0.55)
    return Load(cpu=0.96 if busy else 0.04, memory=0.35 + (0.2 if busy else 0.0))


def wasting(moment: Moment) -> Load:
    """Two busy CPUs out of many, and hardly any memory."""
    return Load(cpu=0.06 + 0.01 * _wave(moment, 90), memory=0.05)


def exchanging(moment: Moment) -> Load:
    """Many ranks in step, with pauses for the exchange; nodes differ a little."""
    pause = _pausing(moment.seconds / 55, part=0.07)
    return Load(
        cpu=(0.55 if pause else 0.97) - 0.1 * moment.phase, memory=0.62 + 0.08 * moment.phase
    )


def training(moment: Moment) -> Load:
    """GPUs at work, with a short pause after each epoch."""
    pause = _pausing(moment.seconds / 90 + moment.phase, part=0.08)
    return Load(
        cpu=0.38 + 0.05 * _wave(moment, 35),
        memory=0.45,
        gpu=0.08 if pause else 0.95 + 0.03 * _wave(moment, 50),
    )


def idling_gpu(moment: Moment) -> Load:
    """GPUs that were asked for and are not used."""
    return Load(cpu=0.2 + 0.1 * _wave(moment, 60), memory=0.15, gpu=0.0)
