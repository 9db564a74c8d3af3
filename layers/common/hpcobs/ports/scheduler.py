"""What a scheduler's controller knows of its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.domain.samples import Sample


class JobSource(Protocol):
    """A cluster's controller, to be asked. UnavailableError where it does not answer."""

    def list_jobs(self) -> Sequence[SchedulerJob]:
        """Jobs that wait, run, or have ended a short while ago, as they are now."""

    def get_job(self, job_id: str) -> SchedulerJob:
        """One of them, by the scheduler's own id; JobNotFoundError."""

    def get_job_metrics(self, job_id: str) -> Sequence[Sample]:
        """What the scheduler itself measures of a job now, a sample for each of its nodes.

        Empty where it measures nothing. JobNotFoundError.
        """

    def list_nodes(self) -> Sequence[NodeReport]:
        """The cluster's nodes as they are now."""
