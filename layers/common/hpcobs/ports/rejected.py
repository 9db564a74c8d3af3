"""Samples that were set aside, as an operator looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hpcobs.domain.samples import RejectedSample

Key = tuple[str, int]
"""A batch's id and a sample's place in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFilter:
    """Which samples: None is any; ``reason`` is a part of the text."""

    job_id: str | None = None
    node: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A sample that was set aside, and when."""

    sample: RejectedSample
    rejected_at: datetime


class RejectedSamples(Protocol):
    """Where samples that were set aside are kept."""

    def page(self, wanted: RejectedFilter, *, limit: int) -> Sequence[Listed]:
        """The oldest that match."""

    def count(self, wanted: RejectedFilter) -> int:
        """How many match."""

    def remove(self, keys: Iterable[Key]) -> None:
        """Forget what is dealt with."""
