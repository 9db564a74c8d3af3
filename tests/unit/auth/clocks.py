"""Clocks and sources of keys that a test controls."""

from __future__ import annotations

from typing import Generic, TypeVar

from hpcobs.domain.errors import UnavailableError

T = TypeVar("T")


class Time:
    """A clock that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Source(Generic[T]):
    """A value that can be changed and taken away."""

    def __init__(self, value: T) -> None:
        self.value = value
        self.there = True
        self.asked = 0

    def __call__(self) -> T:
        self.asked += 1
        if not self.there:
            raise UnavailableError("gone")
        return self.value
