"""What a scheduler's controller knows of its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.nodes import NodeReport


class JobSource(Protocol):
    """A cluster's controller, to be asked. UnavailableError where it does not answer."""

    def jobs(self) -> Sequence[SchedulerJob]:
        """Jobs that wait, run, or have ended a short while ago, as they are now."""

    def nodes(self) -> Sequence[NodeReport]:
        """The cluster's nodes as they are now."""
