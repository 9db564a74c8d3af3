"""A scheduler's controller: the jobs and nodes of its cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.domain.samples import Sample


class JobSource(Protocol):
    """A cluster's controller. Each call raises UnavailableError if it does not respond."""

    def list_jobs(self) -> Sequence[SchedulerJob]:
        """Return the jobs that wait, run, or have ended a short while ago, as they are now."""

    def get_job(self, job_id: str) -> SchedulerJob:
        """Return one of them by the scheduler's id. Raise JobNotFoundError if it is unknown."""

    def get_job_metrics(self, job_id: str) -> Sequence[Sample]:
        """Return the scheduler's own measurements of a job now, one sample for each node.

        The result is empty if it measures nothing. Raise JobNotFoundError if the job is unknown.
        """

    def list_nodes(self) -> Sequence[NodeReport]:
        """Return the cluster's nodes as they are now."""
