"""Slurm's controller as a ``JobSource``, read through slurmrestd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, field

from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.ports.clock import utc_now
from hpcobs.scheduler.slurm.records import parse_jobs, parse_nodes
from hpcobs.scheduler.slurm.values import Number, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.domain.samples import Sample
    from hpcobs.ports.clock import Clock
    from hpcobs.scheduler.slurm.client import SlurmrestdClient

INVALID_JOB_ID = 2017
"""ESLURM_INVALID_JOB_ID in slurm_errno.h."""


class Problem(Struct):
    """One error in a response of slurmrestd."""

    error_number: Number = None
    error: str | None = None
    description: str | None = None


class Response(Struct):
    """The parts that every response has. Records are decoded one by one later."""

    errors: list[Problem] = field(default_factory=list)
    jobs: list[msgspec.Raw] | None = None
    nodes: list[msgspec.Raw] | None = None


class SlurmJobSource:
    """See ``hpcobs.ports.scheduler.JobSource``."""

    def __init__(self, client: SlurmrestdClient, clock: Clock = utc_now) -> None:
        self._client = client
        self._clock = clock
        self._cluster_name: str | None = None

    def list_jobs(self) -> Sequence[SchedulerJob]:
        """Return every job in slurmctld's memory."""
        jobs = self._jobs("jobs")
        # A node's record may name no cluster (v0.0.38 does not): use that of the jobs.
        self._cluster_name = next(
            (job.cluster_name for job in jobs if job.cluster_name), self._cluster_name
        )
        return jobs

    def get_job(self, job_id: str) -> SchedulerJob:
        """Return one job. Raise JobNotFoundError if it is not in slurmctld's memory."""
        # The id becomes part of a path.
        if not job_id.isdecimal():
            raise JobNotFoundError(job_id)
        # slurmrestd lists all tasks of an array under the array's id.
        jobs = [job for job in self._jobs(f"job/{job_id}") if job.job_id == job_id]
        if not jobs:
            raise JobNotFoundError(job_id)
        return jobs[0]

    def get_job_metrics(self, job_id: str) -> Sequence[Sample]:
        """Return no samples: the nodes' forwarders measure, not slurmctld.

        Raise JobNotFoundError if there is no such job.
        """
        self.get_job(job_id)
        return ()

    def list_nodes(self) -> Sequence[NodeReport]:
        """Return every node of the cluster."""
        response = self._fetch("nodes")
        if response.nodes is None:
            raise UnavailableError("slurmrestd's response holds no nodes")
        return parse_nodes(response.nodes, self._cluster_name)

    def _jobs(self, path: str) -> list[SchedulerJob]:
        # Before the request: an event that happens meanwhile must count as later than this view.
        observed_at = self._clock()
        response = self._fetch(path)
        if response.jobs is None:
            raise UnavailableError("slurmrestd's response holds no jobs")
        return parse_jobs(response.jobs, observed_at)

    def _fetch(self, path: str) -> Response:
        """Return the response to a GET.

        Raise UnavailableError if it cannot be decoded, or holds errors alone. An unknown job is no
        error, but a response without jobs.
        """
        try:
            response = msgspec.json.decode(self._client.get(path), type=Response)
        except msgspec.DecodeError as error:
            raise UnavailableError(f"cannot decode slurmrestd's response: {error}") from error
        if any(number(problem.error_number) == INVALID_JOB_ID for problem in response.errors):
            return Response(jobs=[])
        # Errors beside records do not invalidate the records.
        if response.errors and not (response.jobs or response.nodes):
            first = response.errors[0]
            raise UnavailableError(
                f"slurmrestd: {first.description or 'error'}: {first.error or 'unknown'}. "
                "Check that slurmctld is running and SLURM_AUTH_TOKEN is valid."
            )
        return response
