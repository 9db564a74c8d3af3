"""Slurm's controller as a ``JobSource``, read through slurmrestd.

A query that failed is never an empty answer: no job is concluded to be absent from it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from hpcobs.domain.errors import JobNotFoundError, UnavailableError
from hpcobs.ports.clock import utc_now
from hpcobs.scheduler.slurm.decode import Response, decode_response
from hpcobs.scheduler.slurm.faults import FaultLog
from hpcobs.scheduler.slurm.records import parse_jobs, parse_nodes
from hpcobs.scheduler.slurm.values import number, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from msgspec import Raw

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
        self._faults = FaultLog()

    def list_jobs(self) -> Sequence[SchedulerJob]:
        """Return every job in slurmctld's memory."""
        faults: list[str] = []
        # Before the request: an event that happens meanwhile must count as later than this view.
        observed_at = self._clock()
        jobs = parse_jobs(self._list("jobs"), observed_at, faults)
        self._faults.report("jobs", faults)
        # A node's record may name no cluster (v0.0.38 does not): use that of the jobs.
        self._cluster_name = next(
            (job.cluster_name for job in jobs if job.cluster_name), self._cluster_name
        )
        return jobs

    def get_job(self, job_id: str) -> SchedulerJob:
        """Return one job. Raise JobNotFoundError if it is not in slurmctld's memory."""
        # The id becomes part of a path.
        if not (job_id.isascii() and job_id.isdecimal()):
            raise JobNotFoundError(job_id)
        observed_at = self._clock()
        response = self._fetch(f"job/{job_id}")
        if _has_no_such_job(response):
            raise JobNotFoundError(job_id)
        # slurmrestd lists all tasks of an array under the array's id.
        for job in parse_jobs(_loaded(response, "jobs"), observed_at):
            if job.job_id == job_id:
                return job
        raise JobNotFoundError(job_id)

    def get_job_metrics(self, job_id: str) -> Sequence[Sample]:
        """Return no samples: the nodes' forwarders measure, not slurmctld.

        Raise JobNotFoundError if there is no such job.
        """
        self.get_job(job_id)
        return ()

    def list_nodes(self) -> Sequence[NodeReport]:
        """Return every node of the cluster."""
        faults: list[str] = []
        nodes = parse_nodes(self._list("nodes"), self._cluster_name, faults)
        self._faults.report("nodes", faults)
        return nodes

    def _list(self, what: str) -> list[Raw]:
        return _loaded(self._fetch(what), what)

    def _fetch(self, path: str) -> Response:
        """Return the response to a GET, errors included. Raise UnavailableError if it has none."""
        status, body = self._client.get(path)
        try:
            response = decode_response(body)
        except ValueError as error:
            raise UnavailableError(
                f"cannot decode slurmrestd's response (status {status}): {error}"
            ) from error
        # The oldest versions respond with 500, an empty list and no error if slurmctld is down.
        if status != HTTPStatus.OK and not response.errors:
            raise UnavailableError(f"slurmrestd responded with status {status} to {path}")
        return response


def _loaded(response: Response, what: str) -> list[Raw]:
    """Return the records of a response. Raise UnavailableError if the query failed."""
    if response.errors:
        raise UnavailableError(
            f"slurmrestd: {_first_error(response.errors)}. "
            "Check that slurmctld is running and SLURM_AUTH_TOKEN is valid."
        )
    records: list[Raw] | None = getattr(response, what)
    if records is None:
        raise UnavailableError(f"slurmrestd's response holds no {what}")
    if response.last_update is not UNSET:
        # Slurm 23.11 to 26.05 write 0 or no number instead of an error if nothing was loaded.
        updated = number(response.last_update)
        if updated == 0 or (updated is None and not records):
            raise UnavailableError(f"slurmrestd loaded no {what} (last_update is 0)")
    return records


def _has_no_such_job(response: Response) -> bool:
    errors = response.errors
    return isinstance(errors, list) and bool(errors) and all(map(_is_invalid_id, errors))


def _is_invalid_id(error: Any) -> bool:
    return isinstance(error, dict) and number(error.get("error_number")) == INVALID_JOB_ID


def _first_error(errors: Any) -> str:
    first = errors[0] if isinstance(errors, list) else errors
    if not isinstance(first, dict):
        return text(first) or "error"
    return f"{text(first.get('description')) or 'error'}: {text(first.get('error')) or 'unknown'}"
