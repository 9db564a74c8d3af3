"""A clock that only ``advance`` moves."""

from __future__ import annotations


class FakeClock:
    def __init__(self) -> None:
        self.up = 1000.0
        self.now = 1_800_000_000.0

    def uptime(self) -> float:
        return self.up

    def wall(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.up += seconds
        self.now += seconds
