"""Slurm's controller as a ``JobSource``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.ports.clock import utc_now
from hpcobs.scheduler.slurm import answers
from hpcobs.scheduler.slurm.values import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs.domain.events import SchedulerJob
    from hpcobs.domain.nodes import NodeReport
    from hpcobs.domain.samples import Sample
    from hpcobs.ports.clock import Clock
    from hpcobs.scheduler.slurm.client import SlurmrestdClient

INVALID_JOB_ID = 2017
"""ESLURM_INVALID_JOB_ID in slurm_errno.h."""


class SlurmJobSource:
    """See ``hpcobs.ports.scheduler.JobSource``."""

    def __init__(self, client: SlurmrestdClient, clock: Clock = utc_now) -> None:
        self._client = client
        self._clock = clock
        self._cluster_name: str | None = None

    def list_jobs(self) -> Sequence[SchedulerJob]:
        """Every job in slurmctld's memory."""
        found = self._jobs("jobs")
        self._cluster_name = next(
            (job.cluster_name for job in found if job.cluster_name), self._cluster_name
        )
        return found

    def get_job(self, job_id: str) -> SchedulerJob:
        """One job; JobNotFoundError once slurmctld has forgotten it, or never knew it."""
        if not job_id.isdecimal():
            raise JobNotFoundError(job_id)
        found = [job for job in self._jobs(f"job/{job_id}") if job.job_id == job_id]
        if not found:
            raise JobNotFoundError(job_id)
        return found[0]

    def get_job_metrics(self, job_id: str) -> Sequence[Sample]:
        """None: slurmctld measures nothing, the nodes' forwarders do. JobNotFoundError."""
        self.get_job(job_id)
        return ()

    def list_nodes(self) -> Sequence[NodeReport]:
        """Every node of the cluster."""
        answer = answers.read(self._client.get("nodes").body)
        if answer.nodes is None:
            raise UnavailableError("slurmrestd's answer holds no nodes")
        return answers.nodes(answer.nodes, self._cluster_name)

    def _jobs(self, what: str) -> list[SchedulerJob]:
        observed_at = self._clock()
        body = self._client.get(what).body
        if _is_of_unknown_job(body):
            return []
        answer = answers.read(body)
        if answer.jobs is None:
            raise UnavailableError("slurmrestd's answer holds no jobs")
        return answers.jobs(answer.jobs, observed_at)


def _is_of_unknown_job(body: bytes) -> bool:
    try:
        answer = msgspec.json.decode(body, type=answers.Answer)
    except msgspec.DecodeError:
        return False
    return any(number(problem.error_number) == INVALID_JOB_ID for problem in answer.errors)
