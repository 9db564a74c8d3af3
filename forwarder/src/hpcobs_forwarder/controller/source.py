"""Where the controller role asks Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from hpcobs_forwarder.controller.values import text

if TYPE_CHECKING:
    from collections.abc import Sequence

_EMPTY_RESULT = 9003
"""ESLURM_REST_EMPTY_RESULT in slurm_errno.h."""


class SourceError(Exception):
    """Slurm did not answer, or not in a way that can be understood."""


class NoHistoryError(SourceError):
    """There is no accounting database."""


class NothingFoundError(SourceError):
    """Slurm answered that there is nothing of the kind."""


class Source(Protocol):
    """What slurmctld knows now."""

    name: str
    cluster_name: str | None
    """What Slurm calls the cluster; None until it has told of a job."""

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs in its memory, in the contract's words; SourceError."""
        ...

    def nodes(self) -> list[dict[str, Any]]:
        """All nodes, in the contract's words; SourceError."""
        ...


class History(Protocol):
    """What the accounting database remembers."""

    def since(self, seconds: float, until: float) -> list[dict[str, Any]]:
        """The jobs that were there between these seconds since the epoch; SourceError."""
        ...

    def jobs(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """The jobs with these ids; SourceError."""
        ...


def cluster_of(raw_jobs: list[dict[str, Any]]) -> str | None:
    """The cluster that Slurm's jobs say they are of."""
    return next((text(job["cluster"]) for job in raw_jobs if text(job.get("cluster"))), None)


def listed(answer: Any, key: str) -> list[dict[str, Any]]:
    """The objects under ``key`` of Slurm's answer; SourceError if it holds errors instead."""
    if not isinstance(answer, dict) or not isinstance(answer.get(key), list):
        raise SourceError(f"an answer without {key}: {_errors(answer)}")
    found = [one for one in answer[key] if isinstance(one, dict)]
    if not found and answer.get("errors"):
        raise (NothingFoundError if _nothing_found(answer) else SourceError)(_errors(answer))
    return found


def _nothing_found(answer: dict[str, Any]) -> bool:
    errors = answer["errors"]
    return isinstance(errors, list) and all(
        isinstance(error, dict) and error.get("error_number") == _EMPTY_RESULT for error in errors
    )


def _errors(answer: Any) -> str:
    return str(answer.get("errors"))[:300] if isinstance(answer, dict) else repr(answer)[:300]
