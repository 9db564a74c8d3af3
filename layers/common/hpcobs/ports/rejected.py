"""Rejected samples, as an operator sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from hpcobs.domain.samples import RejectedSample

    Place = tuple[datetime, str, int]
    """When a sample was rejected, and its key: rejected samples are ordered by this."""

Key = tuple[str, int]
"""A batch's id and a sample's place in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFilter:
    """A selection of rejected samples. None matches any. ``reason`` is a part of the text."""

    job_id: str | None = None
    node: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A rejected sample, and when it was rejected."""

    sample: RejectedSample
    rejected_at: datetime

    @property
    def place(self) -> Place:
        """Its place in the order by age."""
        return self.rejected_at, self.sample.batch_id, self.sample.position

    def as_json(self) -> dict[str, object]:
        """Return the sample and the time of its rejection, as values that JSON has."""
        return {**self.sample._asdict(), "rejected_at": self.rejected_at.isoformat()}


class RejectedSamples(Protocol):
    """The store of rejected samples."""

    def page(
        self, wanted: RejectedFilter, *, limit: int, after: Place | None = None
    ) -> Sequence[Listed]:
        """Return the oldest samples that match, behind the place ``after`` if it is given."""

    def count(self, wanted: RejectedFilter) -> int:
        """Return how many samples match."""

    def remove(self, keys: Iterable[Key]) -> None:
        """Remove samples that were replayed."""
