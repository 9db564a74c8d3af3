"""Samples that were set aside, as an operator looks at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hpcobs.domain.samples import RejectedSample

    Place = tuple[datetime, str, int]
    """When a sample was set aside, and its key: their order by age."""

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

    @property
    def place(self) -> Place:
        """Where it stands, by age."""
        return self.rejected_at, self.sample.batch_id, self.sample.position

    def as_json(self) -> dict[str, object]:
        """What an operator is told of it, in values that JSON knows."""
        return {**self.sample._asdict(), "rejected_at": self.rejected_at.isoformat()}


class RejectedSamples(Protocol):
    """Where samples that were set aside are kept."""

    def page(
        self, wanted: RejectedFilter, *, limit: int, after: Place | None = None
    ) -> Sequence[Listed]:
        """The oldest that match, or the oldest of those behind ``after``."""

    def count(self, wanted: RejectedFilter) -> int:
        """How many match."""

    def remove(self, keys: Iterable[Key]) -> None:
        """Forget what is dealt with."""
