"""The interfaces by which the controller role queries Slurm, and their errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from hpcobs_forwarder.controller.values import number, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hpcobs_forwarder.controller.records import Faults

_EMPTY_RESULT = 9003
"""ESLURM_REST_EMPTY_RESULT in slurm_errno.h."""
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


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
    faults: Faults
    """What could not be read of the last list of jobs."""

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs in the contract's fields. Raise SourceError."""
        ...

    def nodes(self) -> list[dict[str, Any]]:
        """Return all nodes in the contract's fields. Raise SourceError."""
        ...


class History(Protocol):
    """The jobs in the accounting database. Each submission of an id is a job of its own."""

    def ended(self, since: float, until: float) -> list[dict[str, Any]]:
        """Return the jobs that ended between two times, in epoch seconds. Raise SourceError."""
        ...

    def jobs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the jobs with these ids. Raise SourceError."""
        ...


def cluster_of(raw_jobs: list[Any]) -> str | None:
    """Return the cluster that the first job with a valid one names, or None."""
    names = (text(job.get("cluster")) for job in raw_jobs if isinstance(job, dict))
    return next((name for name in names if name and _CLUSTER.fullmatch(name)), None)


def listed(response: Any, key: str) -> list[Any]:
    """Return the list under ``key`` of Slurm's response. Raise SourceError if the query failed."""
    if not isinstance(response, dict) or not isinstance(response.get(key), list):
        raise SourceError(f"a response without {key}: {_errors(response)}")
    found: list[Any] = response[key]
    if response.get("errors"):
        raise (NothingFoundError if _nothing_found(response) else SourceError)(_errors(response))
    # Slurm 23.11 to 26.05 print this instead of an error if slurmctld could not be queried. Taken
    # for an empty cluster, it would end every job.
    if "last_update" in response and not _is_updated(response["last_update"], found):
        raise SourceError(f"no {key} were loaded (last_update is 0)")
    return found


def _is_updated(last_update: Any, found: list[Any]) -> bool:
    seconds = number(last_update)
    return bool(found) if seconds is None else seconds > 0


def _nothing_found(response: dict[str, Any]) -> bool:
    errors = response["errors"]
    return isinstance(errors, list) and all(
        isinstance(error, dict) and error.get("error_number") == _EMPTY_RESULT for error in errors
    )


def _errors(response: Any) -> str:
    return str(response.get("errors"))[:300] if isinstance(response, dict) else repr(response)[:300]
