"""Rejected samples, as an operator sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from hpcobs.domain.samples import RejectedSample

    Place = tuple[datetime, int]
    """When a sample was rejected, and its id: rejected samples are ordered by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFilter:
    """A selection of rejected samples. None matches any. ``reason`` is a part of the text."""

    job_id: str | None = None
    node: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A rejected sample, when it was rejected, and the id under which it is stored."""

    sample: RejectedSample
    rejected_at: datetime
    id: int

    @property
    def place(self) -> Place:
        """Its place in the order by age."""
        return self.rejected_at, self.id

    def as_json(self) -> dict[str, object]:
        """Return the sample and the time of its rejection, as values that JSON has."""
        return {**self.sample._asdict(), "rejected_at": self.rejected_at.isoformat()}


class RejectedSamples(Protocol):
    """The store of rejected samples."""

    def page(
        self,
        wanted: RejectedFilter,
        *,
        limit: int,
        after: Place | None = None,
        last_id: int | None = None,
    ) -> Sequence[Listed]:
        """Return the oldest samples that match, behind the place ``after`` if it is given.

        With ``last_id`` leave out samples that were rejected after the one with that id.
        """

    def last_id(self) -> int | None:
        """Return the id of the sample that was rejected last, or None without one."""

    def count(self, wanted: RejectedFilter) -> int:
        """Return how many samples match."""
