"""The interfaces by which the controller role queries Slurm, and their errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hpcobs_forwarder.controller.values import text

if TYPE_CHECKING:
    from collections.abc import Sequence

_EMPTY_RESULT = 9003
"""ESLURM_REST_EMPTY_RESULT in slurm_errno.h."""


class SourceError(Exception):
    """Slurm did not respond, or its response cannot be parsed.

    The text of slurmrestd's errors does not name it, since callers add the source's name.
    """


class NoHistoryError(SourceError):
    """Slurm has no accounting database."""


class NothingFoundError(SourceError):
    """Slurm responded that nothing matches the query."""


class Source(Protocol):
    """The jobs and nodes in slurmctld's memory."""

    name: str
    cluster_name: str | None
    """Slurm's name of the cluster, or None before the first job was read."""

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs in the contract's fields. Raise SourceError."""
        ...

    def nodes(self) -> list[dict[str, Any]]:
        """Return all nodes in the contract's fields. Raise SourceError."""
        ...


class History(Protocol):
    """The jobs in the accounting database."""

    def since(self, seconds: float, until: float) -> list[dict[str, Any]]:
        """Return the jobs that existed between two times, in epoch seconds. Raise SourceError."""
        ...

    def jobs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the jobs with these ids. Raise SourceError."""
        ...


def cluster_of(raw_jobs: list[dict[str, Any]]) -> str | None:
    """Return the cluster that the first job with one names, or None."""
    return next((text(job["cluster"]) for job in raw_jobs if text(job.get("cluster"))), None)


def listed(response: Any, key: str) -> list[dict[str, Any]]:
    """Return the objects under ``key`` of Slurm's response. Raise SourceError on errors."""
    if not isinstance(response, dict) or not isinstance(response.get(key), list):
        raise SourceError(f"a response without {key}: {_errors(response)}")
    found = [one for one in response[key] if isinstance(one, dict)]
    # Errors beside objects are tolerated. An empty list with errors is a failure: taken for an
    # empty cluster, it would end every job.
    if not found and response.get("errors"):
        raise (NothingFoundError if _nothing_found(response) else SourceError)(_errors(response))
    return found


def _nothing_found(response: dict[str, Any]) -> bool:
    errors = response["errors"]
    return isinstance(errors, list) and all(
        isinstance(error, dict) and error.get("error_number") == _EMPTY_RESULT for error in errors
    )


def _errors(response: Any) -> str:
    return str(response.get("errors"))[:300] if isinstance(response, dict) else repr(response)[:300]
